import type { Session, SessionTable } from '../../../session/index.ts'
import { newBuffer, type StatesBuffer } from '../../buffers.ts'
import { RequestError } from '../../errors.ts'
import type { StepRecord } from '../../race/step-record.ts'
import type { ServerComponents } from '../facts.ts'
import type { StepNotes } from './step-notes.ts'

export interface StepRunsComponents extends Pick<ServerComponents, 'lane' | 'runner' | 'ledger'> {
  readonly table: SessionTable
}

/** The runs of one session on its row, one at a time. */
export class StepRuns {
  readonly #components: StepRunsComponents
  readonly #session: Session
  /** Stops the run in flight; serves one after the other until it had to. */
  #controller = new AbortController()

  constructor(components: StepRunsComponents, session: Session) {
    this.#components = components
    this.#session = session
  }

  /** Computes a step; null where it was stopped. @throws what the run failed with */
  async run({ input, position, n }: StepRecord<StatesBuffer>): Promise<StepNotes | null> {
    const { table, lane, runner, ledger } = this.#components
    const session = this.#session
    if (this.#controller.signal.aborted) this.#controller = new AbortController()
    const { signal } = this.#controller
    try {
      await table.runStarted(session)
      try {
        const { row } = session
        if (row === undefined || input === null) throw new RequestError('RUN_FAILED', 'the session lost its row')
        if (runner.length(row.slot) > position) runner.rewind(row.slot, position)
        const output = newBuffer(input.bytes.length)
        const work = { slot: row.slot, tokens: n, position, input: input.states, output: output.states }
        const timings = await lane.submit(work, { signal })
        ledger.tokens += n
        return { output, timings }
      } finally {
        table.runEnded(session)
      }
    } catch (thrown) {
      if (signal.aborted || session.signal.aborted) return null
      throw thrown
    }
  }

  /** Stops the run in flight, soon. */
  stop(): void {
    this.#controller.abort()
  }

  /** Cuts the row; no run is in flight. */
  truncate(length: number): void {
    const { row } = this.#session
    const { runner } = this.#components
    // A parked session's row is cut when it is back, before its next run.
    if (row !== undefined && runner.length(row.slot) > length) runner.rewind(row.slot, length)
  }
}
