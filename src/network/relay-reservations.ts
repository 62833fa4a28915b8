import type { Connection } from '@libp2p/interface'
import { RELAY_V2_HOP_CODEC } from '@libp2p/circuit-relay-v2'
import { type Clock, type Logger, pause, toAndthenError } from '../base/index.ts'
import type { ReservationStore } from './circuit.ts'
import { DIAL_TIMEOUT_MS, RELAY_RETRY_MS, RELAY_RETRY_MOST_MS } from './constants.ts'
import { openError } from './libp2p-errors.ts'
import { type PeerAddress, throughRelay } from './peer-address.ts'
import type { ConnectionPool } from './pool.ts'

export interface RelayReservationsComponents {
  readonly store: ReservationStore
  readonly pool: Pick<ConnectionPool, 'acquire'>
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Places on relays, through which this node is reached: each is asked for, kept with the connection that it lives on, and
 * asked for again when it is lost. libp2p renews them before they expire.
 */
export class RelayReservations {
  readonly #components: RelayReservationsComponents
  readonly #relays: readonly PeerAddress[]
  readonly #held = new Set<PeerAddress>()
  /** Ends the wait for the loss of a place. */
  readonly #lost = new Map<PeerAddress, () => void>()
  readonly #closing = new AbortController()

  constructor(components: RelayReservationsComponents, init: { readonly relays: readonly PeerAddress[] }) {
    this.#components = components
    this.#relays = init.relays
    components.store.addEventListener('relay:removed', ({ detail }) => {
      // A relay may be given by several addresses.
      for (const [{ peerId }, lost] of this.#lost) if (peerId === detail.relay.toString()) lost()
    })
  }

  /** Places held now. */
  get held(): number {
    return this.#held.size
  }

  /** Where a node of this id is reached now, each way through a relay. */
  addresses(peerId: string): string[] {
    return this.#relays.filter(relay => this.#held.has(relay)).map(({ address }) => throughRelay(address, peerId))
  }

  /** Asks all relays; resolves when each has answered once, whatever it said. */
  async start(): Promise<void> {
    await Promise.all(this.#relays.map(relay => new Promise<void>(resolve => void this.#keep(relay, resolve))))
  }

  close(): void {
    this.#closing.abort()
    for (const lost of this.#lost.values()) lost()
  }

  async #keep(relay: PeerAddress, answered: () => void): Promise<void> {
    const { clock, logger } = this.#components
    const { signal } = this.#closing
    let waitMs = RELAY_RETRY_MS
    while (!signal.aborted) {
      try {
        await this.#hold(relay, () => {
          waitMs = RELAY_RETRY_MS
          answered()
        })
        logger.warn({ relay: relay.peerId }, 'the place on a relay was lost, asking for another')
      } catch (thrown) {
        if (signal.aborted) break
        const error = toAndthenError(thrown).message
        logger.warn({ relay: relay.peerId, error, retryMs: waitMs }, 'no place on a relay')
      }
      answered()
      await pause(clock, waitMs, signal)
      waitMs = Math.min(2 * waitMs, RELAY_RETRY_MOST_MS)
    }
    answered()
  }

  /** Takes a place and resolves when it is lost. */
  async #hold(relay: PeerAddress, reserved: () => void): Promise<void> {
    const { store, pool, logger } = this.#components
    const { signal } = this.#closing
    using lease = await pool.acquire(relay.peerId, [relay.address], { signal, timeoutMs: DIAL_TIMEOUT_MS })
    const { connection } = lease
    const lost = new Promise<void>(resolve => this.#lost.set(relay, resolve))
    try {
      await demandRelay(connection, signal)
      await store.addRelay(connection.remotePeer, 'configured')
      this.#held.add(relay)
      logger.info({ relay: relay.peerId }, 'reachable through a relay')
      reserved()
      if (!signal.aborted) await lost
    } finally {
      this.#held.delete(relay)
      this.#lost.delete(relay)
    }
  }
}

/**
 * libp2p never asks a peer again that once was no relay; so it is asked only those that are one now.
 *
 * @throws ProtocolNotSupportedError, ConnectionLostError
 */
async function demandRelay(connection: Connection, signal: AbortSignal): Promise<void> {
  try {
    const stream = await connection.newStream(RELAY_V2_HOP_CODEC, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(DIAL_TIMEOUT_MS)])
    })
    stream.abort(new Error('only asked whether it relays'))
  } catch (error) {
    throw openError(connection.remotePeer.toString(), RELAY_V2_HOP_CODEC, error)
  }
}
