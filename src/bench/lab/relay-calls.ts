import type { LinkEnd } from './connection.ts'
import type { Direction, LinkShape } from './shape.ts'
import type { LinkStats, ShapedLinkInit } from './shaped-link.ts'

/** What the relay's process can be asked, with the answer of each. `link` is the link's port. */
export interface RelayCalls {
  open(request: ShapedLinkInit): number
  set(request: { link: number; shape: Partial<LinkShape>; directions: readonly Direction[] }): void
  blackhole(request: { link: number; directions: readonly Direction[] }): void
  reset(request: { link: number }): void
  halfOpen(request: { link: number; gone: LinkEnd }): void
  stats(request: { link: number }): LinkStats
  close(request: { link: number }): void
}
