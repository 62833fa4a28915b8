/**
 * What the network has done since it started, as plain numbers that a metrics page reads whenever it likes. All only
 * grow, but for the `open` ones, which are gauges. Exported as `andthen_network_<name>`, names ending in `_total` or
 * `_bytes_total` but for gauges; keys that hold a colon are one metric with a label, `name:label`.
 */
export interface NetworkCounters {
  connectionsOpen: number
  connectionsOpened: number
  /** Connections closed because nothing used them. */
  connectionsIdleClosed: number
  /** Connections that ended otherwise: the peer closed, the link died, the network closed. */
  connectionsEnded: number
  dialsStarted: number
  dialsFailed: number
  streamsOpen: number
  streamsOpened: number
  /** Streams that broke or were aborted, of those opened. */
  streamsFailed: number
  bytesReceived: number
  bytesSent: number
}

export function createCounters(): NetworkCounters {
  return {
    connectionsOpen: 0,
    connectionsOpened: 0,
    connectionsIdleClosed: 0,
    connectionsEnded: 0,
    dialsStarted: 0,
    dialsFailed: 0,
    streamsOpen: 0,
    streamsOpened: 0,
    streamsFailed: 0,
    bytesReceived: 0,
    bytesSent: 0
  }
}
