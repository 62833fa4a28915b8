import type { Rng } from '../rng.ts'
import type { LinkEnd } from '../lab/connection.ts'
import type { Direction } from '../lab/shape.ts'

/** One thing that happens in a soak. `way` is the number of a client and its link. */
export type SoakAction =
  /** `count` requests at once on one stream, of `bytes` each. */
  | { readonly kind: 'call'; readonly way: number; readonly count: number; readonly bytes: number }
  /** A session on a server of spans: opened, stepped, closed. */
  | { readonly kind: 'session'; readonly way: number; readonly steps: number }
  /** Nothing, long enough for idle connections to close. */
  | { readonly kind: 'rest'; readonly ms: number }
  | { readonly kind: 'reset'; readonly way: number }
  | { readonly kind: 'halfOpen'; readonly way: number; readonly gone: LinkEnd }
  | { readonly kind: 'blackhole'; readonly way: number; readonly direction: Direction | 'both'; readonly ms: number }
  /** The client goes, whatever it does, and another comes in its place. */
  | { readonly kind: 'leave'; readonly way: number }

export interface ScheduleInit {
  readonly ways: number
  /** Connections that nothing uses close after so long. */
  readonly idleTimeoutMs: number
  /** A connection that is dead is known to be so after so long at the latest. */
  readonly deathMs: number
}

/** Faults are few enough that most requests meet none: else none would have to succeed. */
const weights = { call: 600, session: 120, rest: 40, reset: 8, halfOpen: 3, blackhole: 6, leave: 5 } as const
const kinds = Object.keys(weights) as (keyof typeof weights)[]
const total = Object.values(weights).reduce((sum, weight) => sum + weight, 0)
const LARGEST_PAYLOAD = 256 * 1024

/** What happens next: a function of the random numbers alone, so that a seed tells the same story again. */
export function nextAction(rng: Rng, { ways, idleTimeoutMs, deathMs }: ScheduleInit): SoakAction {
  const way = rng.integer(ways)
  const kind = draw(rng)
  switch (kind) {
    case 'call': {
      // As many small ones as large ones: uniform in the logarithm.
      const bytes = Math.floor(LARGEST_PAYLOAD ** rng.next()) - 1
      return { kind, way, count: 1 + rng.integer(4), bytes }
    }
    case 'session':
      return { kind, way, steps: 1 + rng.integer(4) }
    case 'rest':
      // Around the time after which connections close: what comes next meets one that is just closing.
      return { kind, ms: Math.round(idleTimeoutMs * (0.9 + 0.4 * rng.next())) }
    case 'reset':
    case 'leave':
      return { kind, way }
    case 'halfOpen':
      return { kind, way, gone: rng.next() < 0.5 ? 'source' : 'target' }
    case 'blackhole': {
      const direction = (['up', 'down', 'both'] as const)[rng.integer(3)] ?? 'both'
      // Some are over before anybody notices, some are not.
      return { kind, way, direction, ms: Math.round(1.5 * deathMs * rng.next()) }
    }
  }
}

function draw(rng: Rng): keyof typeof weights {
  let left = rng.integer(total)
  for (const kind of kinds) {
    left -= weights[kind]
    if (left < 0) return kind
  }
  return 'call'
}
