/** What the flooder's process can be asked. */
export interface FloodCalls {
  /** Begins a flood, from a peer that the server has never heard of. */
  start(request: FloodRequest): null
  /** Ends it. */
  stop(argument: null): FloodCounts
}

export interface FloodRequest {
  /** Multiaddr of the server, with its peer id. */
  readonly target: string
  /** In hex. */
  readonly modelDigest: string
  /** The server's blocks. */
  readonly from: number
  readonly to: number
  readonly hiddenSize: number
  /** Pushes tried a second. */
  readonly perSecond: number
}

/** What a flood came to. */
export interface FloodCounts {
  /** Pushes that were sent, and those that the connection had no room for or that had no stream. */
  readonly sent: number
  readonly withheld: number
  /** Push streams that were opened, and those that the server ended. */
  readonly streams: number
  readonly ended: number
  readonly elapsedMs: number
}
