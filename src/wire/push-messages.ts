import type { Receipt, Tagged } from './message-parts.ts'

// What servers say to each other: an upstream one, and the next one in answer.

export interface Attach {
  pushKey: Uint8Array
  modelDigest: Uint8Array
  boundary: number
  restart: boolean
}

export interface Attached {
  pushKey: Uint8Array
  steps: number
  bytes: number
}

export interface Push {
  pushKey: Uint8Array
  epoch: number
  step: number
  position: number
  n: number
  digest: Uint8Array
  receipt: Receipt
}

export interface UpstreamGone {
  pushKey: Uint8Array
  reason: string
}

export type PushMessage = Tagged<{ attach: Attach; push: Push; upstreamGone: UpstreamGone }>
export type AttachMessage = Tagged<{ attached: Attached }>
