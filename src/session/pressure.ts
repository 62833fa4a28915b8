/** What the choice of a victim looks at. */
export interface Candidate {
  readonly priority: number
  /** The end of its last run, ms of a clock: frames are no use of a row. */
  readonly lastUse: number
  /** A run is in flight or the row is moving: never chosen. */
  readonly pinned: boolean
}

/** Who gives up its row when another needs one: lowest priority first, then least recently used. */
export function chooseVictim<C extends Candidate>(candidates: Iterable<C>): C | undefined {
  let victim: C | undefined
  for (const candidate of candidates) {
    if (candidate.pinned) continue
    if (victim === undefined || goesBefore(candidate, victim)) victim = candidate
  }
  return victim
}

function goesBefore(a: Candidate, b: Candidate): boolean {
  return a.priority === b.priority ? a.lastUse < b.lastUse : a.priority < b.priority
}
