import { pathToFileURL } from 'node:url'
import { toAndthenError } from '../base/index.ts'
import type { SessionHooks } from '../session/index.ts'
import { HooksError } from './errors.ts'

const names = ['onStart', 'onEvict'] as const

/**
 * The hooks that a module exports, by name.
 *
 * @throws HooksError when it does not load, or exports nothing of use
 */
export async function loadHooks(file: string): Promise<SessionHooks> {
  const found = await importModule(file)
  const hooks = Object.fromEntries(names.filter(name => name in found).map(name => [name, found[name]]))
  const wrong = Object.keys(hooks).find(name => typeof hooks[name] !== 'function')
  if (wrong !== undefined) throw new HooksError(file, `exports ${wrong}, which is not a function`)
  if (Object.keys(hooks).length === 0) throw new HooksError(file, `exports neither ${names.join(' nor ')}`)
  return hooks
}

async function importModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (cause) {
    throw new HooksError(file, `does not load: ${toAndthenError(cause).message}`, { cause })
  }
}
