/** The longest that a timer of Node's can be set to, ms, 24 days: a longer one would ring at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1

/** Monotonic time and timers, injected wherever a decision depends on time, so that tests never sleep. */
export interface Clock {
  /** Milliseconds since an arbitrary start, with fractions; never goes back. */
  now(): number
  /** Calls back once after `ms`; the returned function cancels, and is safe to call late or twice. */
  after(ms: number, callback: () => void): () => void
}

/** Resolves after `ms`, or at once when the signal is aborted. */
export function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    const wake = (): void => {
      cancel()
      signal.removeEventListener('abort', wake)
      resolve()
    }
    const cancel = clock.after(ms, wake)
    signal.addEventListener('abort', wake)
    if (signal.aborted) wake()
  })
}

/** Keeps the process alive until the work is done: timers of `systemClock` do not, nor does a socket that is gone. */
export async function keepAlive<T>(work: Promise<T>): Promise<T> {
  const handle = setInterval(() => undefined, LONGEST_TIMER_MS)
  try {
    return await work
  } finally {
    clearInterval(handle)
  }
}

/** The process's monotonic clock. Timers do not keep the process alive, and ring after 24 days at the latest. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, LONGEST_TIMER_MS))
    timer.unref()
    return () => clearTimeout(timer)
  }
}

interface Alarm {
  at: number
  order: number
  callback: () => void
}

/** A clock that moves only when told to. */
export class ManualClock implements Clock {
  #now: number
  #order = 0
  #alarms: Alarm[] = []

  constructor(start = 0) {
    this.#now = start
  }

  now(): number {
    return this.#now
  }

  after(ms: number, callback: () => void): () => void {
    const alarm = { at: this.#now + Math.max(0, ms), order: this.#order++, callback }
    this.#alarms.push(alarm)
    return () => {
      this.#alarms = this.#alarms.filter(other => other !== alarm)
    }
  }

  /** Moves on by `ms`, ringing what falls due in order of time, then of setting. */
  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const next = this.#alarms
        .filter(alarm => alarm.at <= end)
        .sort((a, b) => a.at - b.at || a.order - b.order)
        .at(0)
      if (next === undefined) break
      this.#alarms = this.#alarms.filter(alarm => alarm !== next)
      this.#now = next.at
      next.callback()
    }
    this.#now = end
  }
}
