import { type AndthenError, toAndthenError } from '../../base/index.ts'
import type { OpenSessionOptions } from './open-session.ts'
import type { SpanSession } from './span-session.ts'

/** What became of it: sessions in no order; and the first failure, where one of the servers failed. */
export interface OpenedInOrder<P> {
  readonly sessions: ReadonlyMap<P, SpanSession>
  readonly failure: { readonly peer: P; readonly error: AndthenError } | null
}

/**
 * Opens a session on each of these servers, on all at once. Where one of them puts the client into its backlog, those
 * behind it in the order of peer ids are given back and opened when it is there: whoever waits holds nothing but what
 * comes before in an order that is the same for all clients, so that no two of them ever wait for each other.
 * Source: the resource hierarchy, E. W. Dijkstra, EWD 310.
 *
 * @param open as `openSession`; a signal that is aborted means that the session is given back
 */
export async function openInOrder<P extends { readonly peerId: string }>(
  peers: readonly P[],
  open: (peer: P, options: OpenSessionOptions) => Promise<SpanSession>,
  signal?: AbortSignal
): Promise<OpenedInOrder<P>> {
  const sessions = new Map<P, SpanSession>()
  let left = peers.toSorted((a, b) => (a.peerId < b.peerId ? -1 : 1))
  while (left.length > 0) {
    const round = new Round(left, open, signal)
    const { opened, failure, behind } = await round.run()
    for (const [peer, session] of opened) sessions.set(peer, session)
    if (failure !== null) return { sessions, failure }
    left = behind
  }
  return { sessions, failure: null }
}

/** All that are left are asked; when it is over those behind the first that made the client wait are left. */
class Round<P extends { readonly peerId: string }> {
  readonly #peers: readonly P[]
  readonly #open: (peer: P, options: OpenSessionOptions) => Promise<SpanSession>
  readonly #signal: AbortSignal | undefined
  readonly #opened = new Map<P, SpanSession>()
  readonly #giveUps: readonly AbortController[]
  /** Place of the first that made the client wait. */
  #waitsAt = Number.POSITIVE_INFINITY
  /** In the order of their coming. */
  #failures: readonly NonNullable<OpenedInOrder<P>['failure']>[] = []

  constructor(
    peers: readonly P[],
    open: (peer: P, options: OpenSessionOptions) => Promise<SpanSession>,
    signal: AbortSignal | undefined
  ) {
    this.#peers = peers
    this.#open = open
    this.#signal = signal
    this.#giveUps = peers.map(() => new AbortController())
  }

  async run(): Promise<{ opened: ReadonlyMap<P, SpanSession>; failure: OpenedInOrder<P>['failure']; behind: P[] }> {
    await Promise.all(this.#peers.map((peer, place) => this.#ask(peer, place)))
    const behind = this.#peers.filter((_, place) => place > this.#waitsAt)
    return { opened: this.#opened, failure: this.#failures[0] ?? null, behind }
  }

  async #ask(peer: P, place: number): Promise<void> {
    const own = this.#giveUps[place]?.signal
    const signals = [own, this.#signal].filter(signal => signal !== undefined)
    try {
      const onQueued = (): void => this.#waitAt(place)
      const session = await this.#open(peer, { signal: AbortSignal.any(signals), onQueued })
      if (place <= this.#waitsAt) this.#opened.set(peer, session)
      else void session.close()
    } catch (thrown) {
      // What was given back has not failed.
      if (place <= this.#waitsAt) this.#failures = [...this.#failures, { peer, error: toAndthenError(thrown) }]
    }
  }

  #waitAt(place: number): void {
    this.#waitsAt = Math.min(this.#waitsAt, place)
    for (const [i, peer] of this.#peers.entries()) {
      if (i <= this.#waitsAt) continue
      this.#giveUps[i]?.abort()
      void this.#opened.get(peer)?.close()
      this.#opened.delete(peer)
    }
    // What failed behind the one that is waited for is asked again in its turn; what failed before it has failed.
    this.#failures = this.#failures.filter(({ peer }) => this.#peers.indexOf(peer) <= this.#waitsAt)
  }
}
