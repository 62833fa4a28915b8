import { Worker } from 'node:worker_threads'
import { createAlarmMemory, setting, wakeAtNs } from './alarm-memory.ts'
import { programUrl } from '../program.ts'

/** Monotonic ms with fractions, on the time base that the alarm's thread shares. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/**
 * The thread's message takes 0.2 to 0.3 ms to reach the event loop (measured; setTimeout is up to 1 ms off, in either
 * direction), so it is asked for this much earlier, and the rest is spent polling the event loop.
 */
const leadMs = 0.3

/** One alarm, rung within some 0.02 ms after its time, never before, while the event loop stays free and cores idle. */
export class Alarm {
  readonly #ring: () => void
  readonly #memory = createAlarmMemory()
  readonly #thread: Worker
  #at = Number.POSITIVE_INFINITY
  #polling = false

  constructor(ring: () => void) {
    this.#ring = ring
    this.#thread = new Worker(programUrl('alarm-thread', import.meta.url), { workerData: this.#memory })
    this.#thread.on('message', () => this.#poll())
    this.#thread.unref()
  }

  /** Rings at `at` (ms of `monotonicMs`), or at the earlier time that was asked for before. Rings once. */
  set(at: number): void {
    if (at >= this.#at) return
    this.#at = at
    if (at - monotonicMs() <= leadMs) {
      setImmediate(() => this.#poll())
      return
    }
    Atomics.store(this.#memory.times, wakeAtNs, BigInt(Math.round((at - leadMs) * 1e6)))
    Atomics.add(this.#memory.settings, setting, 1)
    Atomics.notify(this.#memory.settings, setting)
  }

  #poll(): void {
    if (this.#polling) return
    if (monotonicMs() >= this.#at) {
      this.#at = Number.POSITIVE_INFINITY
      this.#ring()
    } else if (this.#at - monotonicMs() <= 2 * leadMs) {
      this.#polling = true
      setImmediate(() => {
        this.#polling = false
        this.#poll()
      })
    }
  }
}
