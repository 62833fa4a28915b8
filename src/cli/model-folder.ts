import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { NotAvailableError, UsageError } from '../base/index.ts'

/** The model that ships with the package. */
export const defaultModel = fileURLToPath(new URL('../../models/tiny-shakespeare', import.meta.url))

/**
 * The folder that `--model` names, absolute. An existing folder wins; `owner/name[@revision]`, or anything after `hf:`,
 * is a model of the hub; `./` always means a folder.
 *
 * @throws NotAvailableError for a model of the hub, UsageError where there is no such folder
 */
export function parseModel(text: string): string {
  if (text.startsWith('hf:')) throw fromHub(text.slice('hf:'.length))
  const folder = resolve(text)
  if (text !== '' && isFolder(folder)) return folder
  if (/^[\w-][\w.-]*\/[\w.-]+(@[\w./-]+)?$/.test(text)) throw fromHub(text)
  throw new UsageError(`"${text}" is no folder: give a folder with config.json, model.safetensors and tokenizer.json`)
}

/** Whether there is one; of a path that cannot be looked at, there is none. */
export function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory()
  } catch {
    return false
  }
}

function fromHub(id: string): NotAvailableError {
  return new NotAvailableError(`downloading ${id} from the hub (give a folder that holds it instead)`)
}
