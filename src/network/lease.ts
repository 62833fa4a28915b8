import type { Connection } from '@libp2p/interface'

/** Keeps a connection from being closed as idle until it is disposed of; disposing twice is harmless. */
export interface Lease extends Disposable {
  readonly connection: Connection
  /** The connection was there before, so it may have died unnoticed. */
  readonly reused: boolean
}

export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined
  /** @default 10 s */
  readonly timeoutMs?: number | undefined
  /** See CallOptions. */
  readonly askedBy?: string | undefined
}
