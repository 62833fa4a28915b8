import type { LinkEnd } from './connection.ts'
import type { Direction, LinkShape } from './shape.ts'
import type { LinkStats, ShapedLinkInit } from './shaped-link.ts'

/** What the relay's process can be asked, with the answer of each. `link` is the link's port. */
export interface RelayCalls {
  open(request: ShapedLinkInit): number
  set(request: { link: number; shape: Partial<LinkShape>; directions: readonly Direction[] }): null
  blackhole(request: { link: number; directions: readonly Direction[] }): null
  reset(request: { link: number }): null
  halfOpen(request: { link: number; gone: LinkEnd }): null
  stats(request: { link: number }): LinkStats
  close(request: { link: number }): null
}

export interface RelayRequest {
  id: number
  call: keyof RelayCalls
  argument: unknown
}

export type RelayAnswer = { id: number; result: unknown } | { id: number; error: string }
