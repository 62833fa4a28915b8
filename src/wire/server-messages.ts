import type { Credit, Lengths, Pushes, Receipt, Tagged } from './message-parts.ts'

// What a server says to the owner of a session, and of itself to whoever asks.

/** Why an output was not pushed on; `PUSHED` where it was. Indexed by the number on the wire. */
export const notPushedNames = [
  'PUSHED',
  'NO_NEXT',
  'NOT_ATTACHED',
  'QUEUE_FULL',
  'NO_CREDIT',
  'REFUSED',
  'UNREACHABLE'
] as const
export type NotPushed = (typeof notPushedNames)[number]

export interface Opened {
  incarnation: Uint8Array
  pushKey: Uint8Array
  lengths: Lengths
  credit: Credit
  maxTentative: number
}

export interface Queued {
  place: number
}

/** Nanoseconds of the server's monotonic clock; 0 where the event did not happen. */
export interface Stamps {
  clockId: Uint8Array
  pushReceived: number
  copyReceived: number
  computeStart: number
  computeEnd: number
  pushQueued: number
  outputQueued: number
  requested: number
}

export interface Output {
  epoch: number
  step: number
  position: number
  n: number
  inputDigest: Uint8Array
  outputDigest: Uint8Array
  lengths: Lengths
  pushed: Uint8Array
  notPushed: number
  receipts: Receipt[]
  stamps: Stamps
  replay: boolean
  usedPush: boolean
  pushes: Pushes
  downstream: Stamps[]
}

export interface Rewound {
  epoch: number
  lengths: Lengths
  attached: Uint8Array
  notAttached: number
}

export interface Resumed {
  epoch: number
  lengths: Lengths
  credit: Credit
  nextStep: number
}

export interface NeedCopy {
  epoch: number
  step: number
}

export interface Mismatch {
  epoch: number
  step: number
  pushedDigest: Uint8Array
  ownerDigest: Uint8Array
  upstreamReceipt: Receipt | null
  committed: number
}

export interface Terminated {
  reason: string
  resumable: boolean
  lengths: Lengths | null
  pushes: Pushes | null
}

/** `Error` of the protocol; named so as not to hide JavaScript's. */
export interface ErrorMessage {
  code: string
  message: string
  retryable: boolean
  retryAfterMs: number
  epoch: number
  step: number
  lengths: Lengths | null
  hasStep: boolean
  peerId: string
  receipts: Receipt[]
}

export type ServerMessage = Tagged<{
  opened: Opened
  queued: Queued
  output: Output
  rewound: Rewound
  resumed: Resumed
  needCopy: NeedCopy
  mismatch: Mismatch
  terminated: Terminated
  error: ErrorMessage
}>

export interface Info {
  version: string
  protocol: string
  model: string
  modelDigest: Uint8Array
  modelBlocks: number
  from: number
  to: number
  hiddenSize: number
  maxLength: number
  maxSessions: number
  sessions: number
  device: string
  weights: string
  codecs: number[]
  addresses: string[]
  delegate: boolean
  delegateBytes: number
  delegateMemoryBytes: number
  draining: boolean
}
