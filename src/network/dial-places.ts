import { LEAST_OF_HOST } from './constants.ts'
import { shareOfHost } from './peer-address.ts'

/** A dial under way for somebody's sake. */
export interface DialPlace {
  /** Who asked for it. */
  readonly asker: string
  /** Where it goes; of all places it may have its share. */
  readonly host: string
  /** It has to go: there is no place for it any more. */
  readonly evict: () => void
}

/**
 * Places of dials that others ask for. Who names addresses that never answer takes a place for as long as a dial may last;
 * where all are taken the oldest goes of whoever has most of them. Honest ones take a few round trips, so that none waits, and
 * none is refused, for the sake of those.
 */
export class DialPlaces {
  /** The oldest first. */
  readonly #places = new Set<DialPlace>()

  get size(): number {
    return this.#places.size
  }

  /** Takes a place, of `most` that there are. */
  take(place: DialPlace, most: number): void {
    const there = [...this.#places].filter(({ host }) => host === place.host)
    if (there.length >= shareOfHost(place.host, most, LEAST_OF_HOST)) this.#makeRoom(there)
    else if (this.#places.size >= most) this.#makeRoom([...this.#places])
    this.#places.add(place)
  }

  free(place: DialPlace): void {
    this.#places.delete(place)
  }

  #makeRoom(among: readonly DialPlace[]): void {
    const counts = new Map<string, number>()
    for (const { asker } of among) counts.set(asker, (counts.get(asker) ?? 0) + 1)
    const most = Math.max(...counts.values())
    const oldest = among.find(({ asker }) => counts.get(asker) === most)
    if (oldest === undefined) return
    this.#places.delete(oldest)
    oldest.evict()
  }
}
