import { type AndthenError, CancelledError, type Clock, toAndthenError } from '../base/index.ts'
import type { Batch, Scheduler, Work } from './scheduler.ts'

/** Milliseconds of the lane's clock. */
export interface RunTimings {
  readonly queuedAt: number
  /** Of the first chunk. */
  readonly startedAt: number
  /** Of the last chunk. */
  readonly endedAt: number
  /** In the runs that this work was part of; the rest of `endedAt - queuedAt` was waiting. */
  readonly computeMs: number
}

/**
 * Runs one batch. An aborted `signal` means that nobody wants the result: end soon and reject. It serves many runs: who
 * listens to it stops when the run ends.
 */
export type RunBatch<W extends Work> = (batch: Batch<W>, options: { signal: AbortSignal }) => Promise<void>

export interface ComputeLaneComponents<W extends Work> {
  readonly clock: Clock
  readonly scheduler: Scheduler<W>
  readonly run: RunBatch<W>
}

export interface ComputeLaneInit {
  /** Results are given in the order in which the works came in, over all sessions. @default false */
  readonly preserveOrdering?: boolean
}

/** A work from `submit` until its promise settles. */
interface Ticket {
  readonly queuedAt: number
  readonly resolve: (timings: RunTimings) => void
  readonly reject: (error: Error) => void
  startedAt: number | undefined
  computeMs: number
  cancelled: boolean
  /** Set when the work is over and only its turn to be told is awaited. */
  tell: (() => void) | undefined
}

/** The device's one lane: schedule, run, settle, again. */
export class ComputeLane<W extends Work> {
  readonly #components: ComputeLaneComponents<W>
  readonly #preserveOrdering: boolean
  /** In the order of submission. */
  readonly #tickets = new Map<W, Ticket>()
  #running: readonly W[] | undefined
  /** Stops the run in flight; serves one after the other until it had to. */
  #controller = new AbortController()
  #cancelWake: () => void = () => undefined
  #whenIdle: (() => void)[] = []
  #closed = false

  constructor(components: ComputeLaneComponents<W>, init: ComputeLaneInit = {}) {
    this.#components = components
    this.#preserveOrdering = init.preserveOrdering ?? false
  }

  /** Works that have not settled. */
  get pending(): number {
    return this.#tickets.size
  }

  /**
   * Settles when the work has run, or will never run: its row is free to use then. A run that others share is not
   * stopped for one that is cancelled, and a prefill may be cancelled between chunks: in both cases the row has grown.
   * @throws CancelledError, or what `run` rejected with
   */
  submit(work: W, options: { signal?: AbortSignal } = {}): Promise<RunTimings> {
    const { signal } = options
    if (this.#closed || signal?.aborted === true) return Promise.reject(new CancelledError('a run'))
    const { clock, scheduler } = this.#components
    const queuedAt = clock.now()
    const submitted = new Promise<RunTimings>((resolve, reject) => {
      const ticket: Ticket = {
        queuedAt,
        resolve,
        reject,
        startedAt: undefined,
        computeMs: 0,
        cancelled: false,
        tell: undefined
      }
      this.#tickets.set(work, ticket)
    })
    scheduler.add(work, queuedAt)
    this.#next()
    if (signal === undefined) return submitted
    const cancel = (): void => this.#cancel(work)
    signal.addEventListener('abort', cancel, { once: true })
    return submitted.finally(() => signal.removeEventListener('abort', cancel))
  }

  /** Cancels all works. Resolves when the run in flight has ended. */
  async close(): Promise<void> {
    this.#closed = true
    for (const work of [...this.#tickets.keys()]) this.#cancel(work)
    this.#cancelWake()
    if (this.#running !== undefined) await new Promise<void>(resolve => this.#whenIdle.push(resolve))
  }

  #next(): void {
    if (this.#running !== undefined) return
    this.#cancelWake()
    const { clock, scheduler } = this.#components
    const now = clock.now()
    const batch = scheduler.next(now)
    if (batch === undefined) return
    if (batch.kind === 'wait') this.#cancelWake = clock.after(batch.until - now, () => this.#next())
    else void this.#execute(batch, now)
  }

  async #execute(batch: Batch<W>, startedAt: number): Promise<void> {
    const { clock, scheduler, run } = this.#components
    const works = batch.kind === 'decode' ? batch.works : [batch.work]
    if (this.#controller.signal.aborted) this.#controller = new AbortController()
    this.#running = works
    let failure: AndthenError | undefined
    try {
      await run(batch, { signal: this.#controller.signal })
    } catch (thrown) {
      failure = toAndthenError(thrown)
    }
    this.#running = undefined
    const endedAt = clock.now()
    const complete = failure === undefined ? scheduler.finished(batch, endedAt) : works
    for (const work of works) {
      const ticket = this.#tickets.get(work)
      if (ticket === undefined) continue
      ticket.startedAt ??= startedAt
      ticket.computeMs += endedAt - startedAt
      if (ticket.cancelled || complete.includes(work)) this.#settle(work, ticket, endedAt, failure)
    }
    for (const wake of this.#whenIdle.splice(0)) wake()
    this.#next()
  }

  #cancel(work: W): void {
    const ticket = this.#tickets.get(work)
    if (ticket === undefined || ticket.tell !== undefined) return
    ticket.cancelled = true
    const running = this.#running
    if (running === undefined || !running.includes(work)) this.#settle(work, ticket, this.#components.clock.now())
    else if (running.every(other => this.#tickets.get(other)?.cancelled === true)) this.#controller.abort()
  }

  #settle(work: W, ticket: Ticket, endedAt: number, failure?: AndthenError): void {
    this.#components.scheduler.remove(work)
    const { queuedAt, startedAt = endedAt, computeMs } = ticket
    const error = ticket.cancelled ? new CancelledError('a run') : failure
    ticket.tell = () =>
      error === undefined ? ticket.resolve({ queuedAt, startedAt, endedAt, computeMs }) : ticket.reject(error)
    if (!this.#preserveOrdering) this.#tell(work, ticket)
    else for (const [earlier, due] of this.#tickets) if (!this.#tell(earlier, due)) return
  }

  /** False when the work is not over. */
  #tell(work: W, ticket: Ticket): boolean {
    if (ticket.tell === undefined) return false
    this.#tickets.delete(work)
    ticket.tell()
    return true
  }
}
