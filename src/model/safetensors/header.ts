import { ModelFileError } from '../errors.ts'
import { dtypeBits } from './dtype.ts'

/** The header's length comes first, as a little-endian u64. */
export const headerLengthBytes = 8

/** The reference implementation refuses longer headers too. */
export const maxHeaderBytes = 100_000_000

/** One tensor as the header declares it. */
export interface HeaderEntry {
  readonly name: string
  readonly dtype: string
  readonly shape: readonly number[]
  /** First byte, counted from the end of the header. */
  readonly begin: number
  /** One beyond the last byte. */
  readonly end: number
}

/**
 * The header's length as the file's first eight bytes declare it, checked against the file's real size so that nothing
 * is allocated by what a file merely claims.
 *
 * @throws ModelFileError SAFETENSORS_TRUNCATED, SAFETENSORS_HEADER
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, path: string): number {
  if (fileBytes < headerLengthBytes || prefix.byteLength < headerLengthBytes) {
    throw truncated(path, `it has ${fileBytes} bytes, less than the ${headerLengthBytes} of its header's length`)
  }
  const declared = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength).getBigUint64(0, true)
  if (declared > BigInt(maxHeaderBytes)) {
    throw invalid(path, `declares a header of ${declared} bytes; at most ${maxHeaderBytes} are read`)
  }
  const length = Number(declared)
  if (headerLengthBytes + length > fileBytes) {
    throw truncated(path, `its header takes ${length} bytes and the file has ${fileBytes}`)
  }
  return length
}

/**
 * Reads and checks the header's JSON as the format demands: known types, lengths that match shapes, and tensors that
 * tile the data exactly, without overlap or hole (https://huggingface.co/docs/safetensors, "Format").
 *
 * @param dataBytes bytes that the file has behind the header
 * @returns entries ordered by their place in the file
 * @throws ModelFileError SAFETENSORS_HEADER, SAFETENSORS_DTYPE, SAFETENSORS_TRUNCATED
 */
export function parseHeader(json: Uint8Array, dataBytes: number, path: string): HeaderEntry[] {
  const entries = Object.entries(parseObject(json, path))
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, path))
    .sort((a, b) => a.begin - b.begin || a.end - b.end)
  let covered = 0
  for (const entry of entries) {
    if (entry.begin !== covered) {
      const what = entry.begin < covered ? 'overlaps the tensor before it' : 'leaves a hole before it'
      throw invalid(path, `tensor ${quote(entry.name)} at bytes ${entry.begin} to ${entry.end} ${what}`)
    }
    covered = entry.end
  }
  if (covered > dataBytes) throw truncated(path, `its tensors take ${covered} bytes and ${dataBytes} are there`)
  if (covered < dataBytes) throw invalid(path, `leaves ${dataBytes - covered} bytes behind its last tensor unnamed`)
  return entries
}

function parseObject(json: Uint8Array, path: string): object {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json))
    if (isObject(value)) return value
  } catch (cause) {
    throw invalid(path, 'has a header that is not JSON', cause)
  }
  throw invalid(path, 'has a header that is not a JSON object')
}

function parseEntry(name: string, value: unknown, path: string): HeaderEntry {
  if (!isObject(value)) throw invalid(path, `describes tensor ${quote(name)} by something that is not an object`)
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>
  if (typeof dtype !== 'string') throw invalid(path, `gives tensor ${quote(name)} no dtype`)
  if (!isSizes(shape)) throw invalid(path, `gives tensor ${quote(name)} no valid shape`)
  if (!isSizes(offsets)) throw invalid(path, `gives tensor ${quote(name)} no valid data_offsets`)
  const [begin, end] = offsets
  if (offsets.length !== 2 || begin === undefined || end === undefined || end < begin) {
    throw invalid(path, `gives tensor ${quote(name)} no valid data_offsets`)
  }
  const bits = dtypeBits(dtype)
  if (bits === undefined) {
    throw new ModelFileError(
      'SAFETENSORS_DTYPE',
      `${path}: tensor ${quote(name)} has the unknown dtype ${quote(dtype)}`,
      {
        details: { path, tensor: name, dtype }
      }
    )
  }
  const elements = shape.reduce((product, size) => product * size, 1)
  if (elements * bits !== (end - begin) * 8) {
    throw invalid(
      path,
      `gives tensor ${quote(name)} ${end - begin} bytes, which do not hold ${dtype} [${shape.join(', ')}]`
    )
  }
  return { name, dtype, shape, begin, end }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every(size => Number.isSafeInteger(size) && size >= 0)
}

/** Names come from a file of unknown origin: quoted and cut before they reach a message. */
function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}...` : text)
}

function invalid(path: string, what: string, cause?: unknown): ModelFileError {
  return new ModelFileError('SAFETENSORS_HEADER', `${path} ${what}; the file is damaged or not safetensors`, {
    details: { path },
    cause
  })
}

function truncated(path: string, what: string): ModelFileError {
  return new ModelFileError('SAFETENSORS_TRUNCATED', `${path} is cut short: ${what}; fetch the file again`, {
    details: { path }
  })
}
