/** What the ledger's process has to show for itself. */
export interface LedgerReport {
  /** Requests carried out, and those of them that were carried out more than once. */
  executed: number
  repeated: number
  connectionsOpen: number
  streamsOpen: number
  leasesOpen: number
  connectionsIdleClosed: number
  /** null where the system does not tell. */
  descriptors: number | null
  residentBytes: number
}

/** What the ledger's process can be asked. */
export interface LedgerCalls {
  start(init: { idleTimeoutMs: number; keepAliveMs: number }): { peerId: string; port: number }
  /** Those of the requests that were not carried out. */
  missing(request: { ids: readonly number[] }): number[]
  report(request: object): LedgerReport
}
