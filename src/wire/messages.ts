// The messages of proto/andthen.proto as they are decoded: every field present, absent sub-messages null.

export interface Fragment {
  tensor: number
  offset: number
  total: number
  length: number
}

export interface Lengths {
  length: number
  committed: number
}

export interface Credit {
  steps: number
  bytes: number
}

export interface Peer {
  peerId: string
  addresses: string[]
  pushKey: Uint8Array
}

export const VerifyPolicy = { auto: 0, copy: 1, digest: 2, none: 3 } as const
export type VerifyPolicyName = keyof typeof VerifyPolicy

export const Codec = { f32: 0 } as const

export const Want = { tensor: 0, last: 1, none: 2 } as const
export type WantName = keyof typeof Want

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

export interface RouteHop {
  peer: Peer
  from: number
  to: number
}

export interface Route {
  hops: RouteHop[]
  hopsLeft: number
  bytesQuota: number
}

export interface Open {
  version: number
  modelDigest: Uint8Array
  from: number
  to: number
  id: Uint8Array
  replace: boolean
  maxLength: number
  priority: number
  codec: number
  verify: number
  upstream: string
  route: Route | null
}

export interface Step {
  epoch: number
  step: number
  position: number
  n: number
  want: number
  replay: boolean
  next: Peer | null
  nextNone: boolean
}

export interface Verify {
  epoch: number
  step: number
  digest: Uint8Array
}

export interface Rewind {
  epoch: number
  length: number
  upstream: string
  upstreamNone: boolean
  next: Peer | null
  nextNone: boolean
}

export interface Resume {
  id: Uint8Array
  incarnation: Uint8Array
  epoch: number
  outputs: number
}

export type KeepAlive = Record<never, never>
export type Close = Record<never, never>

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

export interface Receipt {
  statement: Uint8Array
  signature: Uint8Array
}

/** What a server says that it did in one step; signed, it is a receipt. */
export interface Statement {
  version: number
  server: string
  owner: string
  incarnation: Uint8Array
  modelDigest: Uint8Array
  from: number
  to: number
  epoch: number
  step: number
  position: number
  n: number
  inputDigest: Uint8Array
  outputDigest: Uint8Array
}

export interface Pushes {
  used: number
  late: number
  ignored: number
  mismatched: number
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

/** One of a frame's messages, tagged with its field name: `{ kind: 'step', value: Step }`. */
export type Tagged<Bodies> = { [K in keyof Bodies]: { kind: K; value: Bodies[K] } }[keyof Bodies]

export type OwnerMessage = Tagged<{
  open: Open
  step: Step
  verify: Verify
  rewind: Rewind
  resume: Resume
  keepAlive: KeepAlive
  close: Close
}>

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

export type PushMessage = Tagged<{ attach: Attach; push: Push; upstreamGone: UpstreamGone }>
export type AttachMessage = Tagged<{ attached: Attached }>
