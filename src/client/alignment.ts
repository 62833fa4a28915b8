import { toAndthenError } from '../base/index.ts'
import { ServerFaultError, type SpanSession } from '../inference/index.ts'
import type { Rewound, VerifyPolicyName } from '../wire/index.ts'
import { type CatchUpComponents, catchUp } from './catch-up.ts'
import { HopError } from './errors.ts'
import type { Hop } from './hop.ts'
import { replay, rewindLengths } from './replay.ts'

export interface AlignmentInit {
  readonly verify: VerifyPolicyName
  readonly stepTimeoutMs: number
  /** A step that was run again is answered. */
  readonly onProgress: () => void
}

/** Brings the sessions of a chain to one length, in one epoch, with the inputs that were kept. */
export class Alignment {
  /** Servers that were brought to a length by replaying to them. */
  replays = 0
  readonly #components: CatchUpComponents
  readonly #init: AlignmentInit
  /** Those that were replayed to since all were at one length: a replay that was interrupted may have done all the same. */
  readonly #replayed = new Set<SpanSession>()
  #epoch = 0

  constructor(components: CatchUpComponents, init: AlignmentInit) {
    this.#components = components
    this.#init = init
  }

  /** Of the steps that the chain runs next. */
  get epoch(): number {
    return this.#epoch
  }

  /** Begins an epoch in which all servers hold `position` tokens. @throws HopError, what the signal was aborted with */
  async align(hops: readonly Hop[], position: number, signal: AbortSignal): Promise<void> {
    const { boundaries } = this.#components
    const epoch = ++this.#epoch
    const spans = hops.map(({ server }) => server)
    const cutTo = rewindLengths(spans, position, block => boundaries.at(block).length)
    const rewound = await Promise.all(hops.map((_, i) => rewind(hops, i, cutTo[i] ?? 0, epoch)))
    const lengths = rewound.map(({ lengths: { length } }) => length)
    for (const [i, { session }] of hops.entries()) if ((lengths[i] ?? 0) < position) this.#replayed.add(session)
    await replay(this.#components, hops, { ...this.#init, epoch, position, lengths }, signal)
    this.replays += hops.filter(({ session }) => this.#replayed.has(session)).length
    this.#replayed.clear()
  }

  /**
   * The same for a route that was just left to its first server, with nothing in any of its `servers` servers.
   *
   * @throws HopError, CancelledError
   */
  async catchUp(hop: Hop, servers: number, position: number, signal: AbortSignal): Promise<void> {
    // As it is, a new route is at no tokens in epoch 0; later ones may have begun where the client had run the chain itself.
    if (position === 0 && this.#epoch === 0) return
    const epoch = ++this.#epoch
    await rewind([hop], 0, 0, epoch)
    if (position === 0) return
    await catchUp(this.#components, hop, { ...this.#init, epoch, position }, signal)
    await rewind([hop], 0, position, ++this.#epoch)
    this.replays += servers
  }
}

async function rewind(hops: readonly Hop[], i: number, length: number, epoch: number): Promise<Rewound> {
  const [hop, upstream, next] = [hops[i], hops[i - 1], hops[i + 1]]
  if (hop === undefined) throw new RangeError(`hop ${i} of ${hops.length}`)
  let rewound: Rewound
  try {
    rewound = await hop.session.rewind({
      epoch,
      length,
      ...(hop.pushed && upstream !== undefined ? upstreamOf(upstream) : { upstreamNone: true }),
      ...(next?.pushed === true ? { next: pushTarget(next) } : { nextNone: true })
    })
  } catch (error) {
    throw new HopError(hop.server.peerId, toAndthenError(error))
  }
  const { lengths } = rewound
  if (lengths.length <= length) return rewound
  const what = `holds ${lengths.length} tokens after it was cut back to ${length}`
  throw new HopError(hop.server.peerId, new ServerFaultError(hop.server.peerId, what))
}

function upstreamOf({ server, session }: Hop) {
  return { upstream: server.peerId, upstreamIncarnation: session.opened.incarnation }
}

function pushTarget({ server, session }: Hop) {
  return { peerId: server.peerId, addresses: [...server.addresses], pushKey: session.opened.pushKey }
}
