import type { Entry, Rank } from './entry.ts'

/** The queue for rows: new sessions (the backlog) and parked ones that have a run to do. */
export class WaitingList {
  #entries: Entry[] = []
  #order = 0

  /** A place behind all who were given one of this priority. */
  behind(priority: number): Rank {
    return { priority, order: this.#order++ }
  }

  add(entry: Entry): void {
    const at = this.#entries.findIndex(other => goesBefore(entry, other))
    this.#entries.splice(at < 0 ? this.#entries.length : at, 0, entry)
  }

  remove(entry: Entry): void {
    this.#entries = this.#entries.filter(other => other !== entry)
  }

  has(entry: Entry): boolean {
    return this.#entries.includes(entry)
  }

  /** Of those that may have a row now the one that so many go before. */
  at(place: number, may: (entry: Entry) => boolean): Entry | undefined {
    return this.#entries.filter(may)[place]
  }

  get length(): number {
    return this.#entries.length
  }

  /** New sessions only: what the backlog's limit counts. */
  get backlog(): number {
    return this.#entries.reduce((sum, entry) => sum + (entry.state === 'queued' ? 1 : 0), 0)
  }

  /** How many go first; -1 for one that does not wait. */
  place(entry: Entry): number {
    return this.#entries.indexOf(entry)
  }
}

function goesBefore(a: Entry, b: Entry): boolean {
  return a.rank.priority === b.rank.priority ? a.rank.order < b.rank.order : a.rank.priority > b.rank.priority
}
