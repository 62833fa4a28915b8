import { readFile, stat } from 'node:fs/promises'
import type { z } from 'zod'
import { fileProblem } from '../base/index.ts'
import { ModelFileError, type ModelFileCode } from './errors.ts'

export function isMissing(thrown: unknown): boolean {
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  return code === 'ENOENT' || code === 'ENOTDIR'
}

/** Several times the largest tokenizer.json on the hub. */
const maxTextBytes = 256 * 1024 * 1024

/** The file's text, or null when there is no such file. */
export async function readText(path: string, signal?: AbortSignal): Promise<string | null> {
  try {
    const { size } = await stat(path)
    if (size > maxTextBytes) {
      throw new ModelFileError('MODEL_CONFIG', `${path} has ${size} bytes; at most ${maxTextBytes} are read`, {
        details: { path }
      })
    }
    return await readFile(path, { encoding: 'utf8', signal })
  } catch (thrown) {
    signal?.throwIfAborted()
    if (thrown instanceof ModelFileError) throw thrown
    if (isMissing(thrown)) return null
    throw new ModelFileError('MODEL_NOT_FOUND', `${path} cannot be read: ${fileProblem(thrown)}`, {
      details: { path },
      cause: thrown
    })
  }
}

/**
 * The file as the schema describes it, or null when there is no such file.
 *
 * @throws ModelFileError with `code` where it is not JSON or does not fit
 */
export async function readJson<T>(
  path: string,
  schema: z.ZodType<T>,
  signal?: AbortSignal,
  code: ModelFileCode = 'MODEL_CONFIG'
): Promise<T | null> {
  const text = await readText(path, signal)
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new ModelFileError(code, `${path} is not JSON; the file is damaged, fetch it again`, {
      details: { path },
      cause
    })
  }
  return fit(value, schema, path, code)
}

/** `value` as the schema describes it; the error names the field that does not fit. */
export function fit<T>(value: unknown, schema: z.ZodType<T>, path: string, code: ModelFileCode = 'MODEL_CONFIG'): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const field = issue?.path.join('.') ?? ''
  throw new ModelFileError(code, `${path}: ${field === '' ? '' : `${field}: `}${issue?.message ?? 'does not fit'}`, {
    details: { path, field }
  })
}
