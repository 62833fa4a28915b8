import type { Hop } from './hop.ts'
import { HopReplay, type HopReplayInit, type ReplayComponents } from './hop-replay.ts'

interface ReplayPlan extends Omit<HopReplayInit, 'outputsFrom'> {
  readonly position: number
  /** Tokens that each server's session holds. */
  readonly lengths: readonly number[]
}

interface Span {
  readonly from: number
  readonly to: number
}

/**
 * To which length each server must be cut back, at most, so that the chain can go on at `position`: where the inputs of
 * the server behind it were never kept, it computes them again.
 */
export function rewindLengths(spans: readonly Span[], position: number, keptAt: (block: number) => number): number[] {
  return spans.map(({ to }, i) => (i === spans.length - 1 ? position : Math.min(position, keptAt(to))))
}

/**
 * Brings every server of a chain from its length to `position`, with the inputs that were kept. Where a boundary's
 * inputs were not, they come from the server before it, which replays first. When one server fails, the others are
 * stopped, and none replays any more by the time this rejects.
 *
 * @throws HopError of the server that failed first; what the signal was aborted with
 */
export async function replay(
  components: ReplayComponents,
  hops: readonly Hop[],
  plan: ReplayPlan,
  signal: AbortSignal
): Promise<void> {
  const { boundaries } = components
  const { position } = plan
  const stop = new AbortController()
  const stopped = AbortSignal.any([stop.signal, signal])
  const jobs: Promise<void>[] = []
  for (const [i, hop] of hops.entries()) {
    const from = plan.lengths[i] ?? 0
    if (from >= position) continue
    const kept = boundaries.at(hop.server.from)
    const next = hops[i + 1]
    const outputsFrom = next === undefined ? position : boundaries.at(next.server.from).length
    // The inputs of this server are the outputs of the one before, which is replayed for that.
    const inputsMissing = kept.length < position
    const before = inputsMissing ? jobs.at(-1) : undefined
    const job = (before ?? Promise.resolve()).then(() =>
      new HopReplay(components, hop, { ...plan, outputsFrom }, stopped).run(from, position)
    )
    job.catch((error: unknown) => stop.abort(error))
    jobs.push(job)
  }
  await Promise.allSettled(jobs)
  stopped.throwIfAborted()
}
