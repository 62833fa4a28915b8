interface Fault {
  readonly from: number
  /** Until when what it did may still be felt. */
  until: number
}

/** When which way was disturbed, so that only a request that a fault may have hit is allowed to fail. */
export class FaultLog {
  readonly #faults = new Map<number, Fault[]>()

  /** A fault begins; `over` says that it has ended, and for how long what it did may still be felt. */
  begin(way: number, now: number): (now: number, feltMs: number) => void {
    const fault = { from: now, until: Number.POSITIVE_INFINITY }
    this.#faults.set(way, [...(this.#faults.get(way) ?? []), fault])
    return (end, feltMs) => {
      fault.until = end + feltMs
    }
  }

  /** Whether a fault may have been felt on this way in `[from, to]`. */
  excuses(way: number, from: number, to: number): boolean {
    return (this.#faults.get(way) ?? []).some(fault => fault.from <= to && fault.until >= from)
  }

  /** Faults that were over long ago excuse nothing any more. */
  forget(before: number): void {
    for (const [way, faults] of this.#faults)
      this.#faults.set(
        way,
        faults.filter(({ until }) => until >= before)
      )
  }
}
