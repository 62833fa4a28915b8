import { type Clock, type Logger, TimeoutError } from '../base/index.ts'
import type { EndReason, Session } from './session.ts'

/** What the node's owner wants to be told. Each is awaited exactly once a session, `onEvict` only after `onStart`. */
export interface SessionHooks {
  /** A row was granted; the session's first run waits for this. */
  onStart?(session: Session, options: { signal: AbortSignal }): void | Promise<void>
  /** The session is over; its row is not lent again before this is done. */
  onEvict?(session: Session, reason: EndReason, options: { signal: AbortSignal }): void | Promise<void>
}

type Call = (signal: AbortSignal) => void | Promise<void> | undefined

/** Runs hooks so that one that throws or hangs costs a log line and a deadline, never a slot. */
export class HookRunner {
  failures = 0
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #hooks: SessionHooks
  readonly #deadlineMs: number

  constructor(components: { clock: Clock; logger: Logger; hooks: SessionHooks }, init: { deadlineMs: number }) {
    this.#clock = components.clock
    this.#logger = components.logger
    this.#hooks = components.hooks
    this.#deadlineMs = init.deadlineMs
  }

  start(session: Session): Promise<void> {
    return this.#bounded('onStart', session, signal => this.#hooks.onStart?.(session, { signal }))
  }

  evict(session: Session, reason: EndReason): Promise<void> {
    return this.#bounded('onEvict', session, signal => this.#hooks.onEvict?.(session, reason, { signal }))
  }

  async #bounded(hook: string, session: Session, call: Call): Promise<void> {
    const controller = new AbortController()
    let cancel = (): void => undefined
    try {
      const running = call(controller.signal)
      if (running === undefined) return
      const late = new Promise<never>((_, reject) => {
        cancel = this.#clock.after(this.#deadlineMs, () => {
          const error = new TimeoutError(`the ${hook} hook`, this.#deadlineMs)
          controller.abort(error)
          reject(error)
        })
      })
      await Promise.race([running, late])
    } catch (thrown) {
      this.failures++
      this.#logger.error({ hook, session: session.id, error: thrown }, 'a session hook failed')
    } finally {
      cancel()
    }
  }
}
