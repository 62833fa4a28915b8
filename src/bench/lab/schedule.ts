import { Alarm, monotonicMs } from './alarm.ts'
import type { Pipe } from './pipe.ts'

/** Delivers for all pipes of a process, each when its next parcel is due. */
export class Schedule {
  readonly #pipes = new Set<Pipe>()
  readonly #alarm = new Alarm(() => this.run())

  now(): number {
    return monotonicMs()
  }

  add(pipe: Pipe): void {
    this.#pipes.add(pipe)
  }

  remove(pipe: Pipe): void {
    this.#pipes.delete(pipe)
  }

  /** Something falls due at `at`. */
  expect(at: number): void {
    if (at < Number.POSITIVE_INFINITY) this.#alarm.set(at)
  }

  /** Delivers whatever is due: when the alarm rings, and when what held a pipe up is gone. */
  run(): void {
    const now = this.now()
    let next = Number.POSITIVE_INFINITY
    for (const pipe of this.#pipes) next = Math.min(next, pipe.deliver(now))
    this.expect(next)
  }
}
