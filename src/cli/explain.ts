import type { LatencyFigures } from '../client/index.ts'

/**
 * Where the time of the mean decode step went, as a sum that closes:
 * `94 ms = 60 network + 30 compute + 1 client + 3 unaccounted; floor 91 (1.03x)`.
 */
export function explain(figures: LatencyFigures): string {
  const { hops, stepMs, clientMs, floorMs, floorRatio } = figures
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
  return `${total.toFixed(digits)} ms = ${sum}; floor ${floor}`
}
