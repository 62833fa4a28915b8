import type { UnreachableReason } from './errors.ts'

/**
 * What the network has done since it started, as plain numbers that a metrics page reads whenever it likes. Those named
 * `...Open` are gauges, all others only grow.
 */
export interface NetworkCounters {
  connectionsOpen: number
  connectionsOpened: number
  /** Connections closed because nothing used them. */
  connectionsIdleClosed: number
  /** Connections ended because the other end did not answer any more. */
  connectionsDead: number
  /** Connections ended because the other end went on to use them long after it was told that they close. */
  connectionsOverstayed: number
  /** Connections ended because they poured out streams, or what the multiplexer answers by itself. */
  connectionsFlooding: number
  /** Connections that ended otherwise, or were dead, overstayed or flooding: the peer closed, the link died, the network closed. */
  connectionsEnded: number
  /** What holds connections now: as many as streams and dials are under way, relays kept, and no more. */
  leasesOpen: number
  dialsStarted: number
  /** Dials that failed, by reason; those for `too-many` were not begun. */
  dialsFailed: Record<UnreachableReason, number>
  /** Dials that others asked for and that were not begun, since the addresses had not answered just before. */
  dialsSpared: number
  /** Dials that others asked for and that made room for those of somebody with fewer. */
  dialsEvicted: number
  /** Dials through a relay that succeeded. */
  dialsRelayed: number
  streamsOpen: number
  streamsOpened: number
  /** Streams that broke or were aborted, of those opened. */
  streamsFailed: number
  /** Inbound connections refused: by allow and deny lists, by a host's limits of dials and of connections, or for want of room. */
  refusedByAddress: number
  refusedByPeer: number
  refusedByRate: number
  refusedByHost: number
  refusedFull: number
  /** Connections through a relay that this node did not ask for a place. */
  refusedByRelay: number
  /** Places on this relay, and connections through it, refused because their host has its share. */
  relayPlacesRefused: number
  relayConnectionsRefused: number
  /** Streams ended because the peer opened too many, or sent too much. */
  streamsOverCount: number
  streamsOverBytes: number
  bytesReceived: number
  bytesSent: number
}

export function createCounters(): NetworkCounters {
  return {
    connectionsOpen: 0,
    connectionsOpened: 0,
    connectionsIdleClosed: 0,
    connectionsDead: 0,
    connectionsOverstayed: 0,
    connectionsFlooding: 0,
    connectionsEnded: 0,
    leasesOpen: 0,
    dialsStarted: 0,
    dialsFailed: {
      refused: 0,
      timeout: 0,
      'no-route': 0,
      'no-address': 0,
      'wrong-peer': 0,
      denied: 0,
      self: 0,
      relay: 0,
      closed: 0,
      'too-many': 0,
      failed: 0
    },
    dialsSpared: 0,
    dialsEvicted: 0,
    dialsRelayed: 0,
    streamsOpen: 0,
    streamsOpened: 0,
    streamsFailed: 0,
    refusedByAddress: 0,
    refusedByPeer: 0,
    refusedByRate: 0,
    refusedByHost: 0,
    refusedFull: 0,
    refusedByRelay: 0,
    relayPlacesRefused: 0,
    relayConnectionsRefused: 0,
    streamsOverCount: 0,
    streamsOverBytes: 0,
    bytesReceived: 0,
    bytesSent: 0
  }
}
