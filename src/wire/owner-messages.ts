import type { Peer, Tagged } from './message-parts.ts'

// What a session's owner says to its server.

export const VerifyPolicy = { auto: 0, copy: 1, digest: 2, none: 3 } as const
export type VerifyPolicyName = keyof typeof VerifyPolicy

export const Want = { tensor: 0, last: 1, none: 2 } as const
export type WantName = keyof typeof Want

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
  upstreamIncarnation: Uint8Array
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

export type OwnerMessage = Tagged<{
  open: Open
  step: Step
  verify: Verify
  rewind: Rewind
  resume: Resume
  keepAlive: KeepAlive
  close: Close
}>
