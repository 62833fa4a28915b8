// What several messages of proto/andthen.proto have in common, as it is decoded: every field present, absent sub-messages null.

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

export const Codec = { f32: 0 } as const

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

/** One of a frame's messages, tagged with its field name: `{ kind: 'step', value: Step }`. */
export type Tagged<Bodies> = { [K in keyof Bodies]: { kind: K; value: Bodies[K] } }[keyof Bodies]
