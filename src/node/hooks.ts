import { stat } from 'node:fs/promises'
import { pathToFileURL } from 'node:url'
import { fileProblem, toAndthenError } from '../base/index.ts'
import type { EndReason, Session, SessionHooks as TableHooks } from '../session/index.ts'
import { HooksError } from './errors.ts'

/** A session as its hooks see it: one frozen object for its whole life, which may be a key of a WeakMap. */
export interface HookedSession {
  /** 32 hex digits, drawn by the client: unique among the live sessions of its owner. */
  readonly id: string
  /** Peer id of the client, proven by its connection. */
  readonly owner: string
  /** Tokens that it may hold. */
  readonly maxLength: number
  /** What counts of the priority that its client asked for: higher goes first. */
  readonly priority: number
}

/** What to call for each session. A hook that throws, or takes more than 5 s, is logged and counted, and delays nothing further. */
export interface SessionHooks {
  /** It has a row; its first run waits for this. `signal` is aborted after 5 s. */
  onStart?(session: HookedSession, options: { readonly signal: AbortSignal }): void | Promise<void>
  /** It is over, and `onStart` was called; its row is not lent again before this is done. `signal` is aborted after 5 s. */
  onEvict?(session: HookedSession, reason: EndReason, options: { readonly signal: AbortSignal }): void | Promise<void>
}

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

/** Hooks for the session table, which hand on nothing of a session but what is documented. */
export function tableHooks(hooks: SessionHooks): TableHooks {
  const views = new WeakMap<Session, HookedSession>()
  const viewOf = (session: Session): HookedSession => {
    const { id, owner, maxLength, priority } = session
    const view = views.get(session) ?? Object.freeze({ id, owner, maxLength, priority })
    views.set(session, view)
    return view
  }
  return {
    onStart: (session, options) => hooks.onStart?.(viewOf(session), options),
    onEvict: (session, reason, options) => hooks.onEvict?.(viewOf(session), reason, options)
  }
}

async function importModule(file: string): Promise<Readonly<Record<string, unknown>>> {
  const stats = await stat(file).catch((cause: unknown) => {
    throw new HooksError(file, `cannot be read: ${fileProblem(cause)}`, { cause })
  })
  if (!stats.isFile()) throw new HooksError(file, 'is no file')
  try {
    return (await import(pathToFileURL(file).href)) as Record<string, unknown>
  } catch (cause) {
    throw new HooksError(file, `does not load: ${toAndthenError(cause).message}`, { cause })
  }
}
