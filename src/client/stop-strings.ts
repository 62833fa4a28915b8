import { UsageError } from '../base/index.ts'

/**
 * Watches streamed text for stop strings. Text that may be the beginning of one is held back until it is clear; the
 * stop string itself is never emitted. The result does not depend on how the text is cut: the stop string that ends
 * first counts, and of those the longest.
 */
export class StopStrings {
  readonly #stops: readonly string[]
  #held = ''
  #stopped = false

  /** @throws UsageError when a stop string is empty */
  constructor(stops: readonly string[]) {
    if (stops.includes('')) throw new UsageError('a stop string is empty: give at least one character')
    this.#stops = stops
  }

  /** Takes more text; returns what may be shown now, and whether a stop string has come. */
  push(text: string): { emit: string; stopped: boolean } {
    if (this.#stopped) return { emit: '', stopped: true }
    const pending = this.#held + text
    const match = this.#firstMatch(pending)
    if (match !== undefined) {
      this.#stopped = true
      this.#held = ''
      return { emit: pending.slice(0, match), stopped: true }
    }
    const held = this.#mayBegin(pending)
    this.#held = pending.slice(pending.length - held)
    return { emit: pending.slice(0, pending.length - held), stopped: false }
  }

  /** Ends the text: what was held back is part of it after all. */
  flush(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }

  /** Where the match that ends first begins. */
  #firstMatch(text: string): number | undefined {
    let start: number | undefined
    let end = Number.POSITIVE_INFINITY
    for (const stop of this.#stops) {
      const at = text.indexOf(stop)
      if (at === -1) continue
      const until = at + stop.length
      if (until < end || (until === end && at < (start ?? 0))) {
        start = at
        end = until
      }
    }
    return start
  }

  /** Length of the longest end of `text` that begins a stop string. */
  #mayBegin(text: string): number {
    const longest = Math.max(0, ...this.#stops.map(stop => stop.length - 1))
    for (let length = Math.min(longest, text.length); length > 0; length--) {
      const end = text.slice(text.length - length)
      if (this.#stops.some(stop => stop.startsWith(end))) return length
    }
    return 0
  }
}
