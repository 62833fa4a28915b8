import type { GenerationResult, LatencyFigures } from '../client/index.ts'

/**
 * Where the time of the mean decode step went, as a sum that closes, and what relaying would have taken:
 * `94 ms = 60 network + 30 compute + 1 client + 3 unaccounted; floor 91 (1.03x); relay would be about 124`.
 */
export function explain(figures: LatencyFigures & Pick<GenerationResult, 'route'>): string {
  const { hops, stepMs, clientMs, floorMs, floorRatio, route } = figures
  if (stepMs.mean === null) return 'one token or none: there was no decode step to explain'
  const digits = stepMs.mean < 20 ? 1 : 0
  const rounded = (ms: number) => Number(ms.toFixed(digits))
  const over = (part: 'networkMs' | 'computeMs' | 'queueMs' | 'otherMs') =>
    rounded(hops.reduce((sum, hop) => sum + hop[part], 0))

  const total = rounded(stepMs.mean)
  const parts: readonly (readonly [number, string])[] = [
    [over('networkMs'), 'network'],
    [over('computeMs'), 'compute'],
    [over('queueMs'), 'queue'],
    [over('otherMs'), 'other'],
    [rounded(clientMs ?? 0), 'client']
  ]
  // What rounding left over goes to the last term, so that the line adds up to the digit.
  const unaccounted = rounded(total - parts.reduce((sum, [ms]) => sum + ms, 0))
  const shown = parts.filter(([ms, name]) => ms !== 0 || (name !== 'queue' && name !== 'other'))
  const terms = [...shown, [unaccounted, 'unaccounted'] as const]
  const sum = terms.map(([ms, name]) => `${ms.toFixed(digits)} ${name}`).join(' + ')
  const floor =
    floorMs === null || floorRatio === null ? 'unknown' : `${floorMs.toFixed(digits)} (${floorRatio.toFixed(2)}x)`
  // Through one server every route is the same.
  const relay = route === 'relay' || hops.length < 2 ? null : relayMs(figures)
  const otherwise = relay === null ? '' : `; relay would be about ${relay.toFixed(digits)}`
  return `${total.toFixed(digits)} ms = ${sum}; floor ${floor}${otherwise}`
}

/** The same step with a round trip to every server in place of its network time; null where one was not pinged. */
function relayMs({ hops, stepMs }: LatencyFigures): number | null {
  let ms = stepMs.mean ?? 0
  for (const { networkMs, pingMs } of hops) {
    if (pingMs === null) return null
    ms += pingMs - networkMs
  }
  return ms
}
