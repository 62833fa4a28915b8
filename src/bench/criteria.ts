import type { Interval } from './statistics.ts'

/** A figure that was promised, held against its limit. */
export interface Criterion {
  readonly name: string
  /** null where it could not be measured. */
  readonly value: number | null
  readonly ci95: Interval | null
  readonly limit: number
  readonly bound: 'at most' | 'at least'
  readonly ok: boolean
}

/** Judged on the interval's upper end, or on the value itself where there is none. */
export function atMost(name: string, limit: number, value: number | null, ci95: Interval | null = null): Criterion {
  const judged = ci95?.[1] ?? value
  return { name, value, ci95, limit, bound: 'at most', ok: judged !== null && judged <= limit }
}

/** Judged on the interval's lower end, or on the value itself where there is none. */
export function atLeast(name: string, limit: number, value: number | null, ci95: Interval | null = null): Criterion {
  const judged = ci95?.[0] ?? value
  return { name, value, ci95, limit, bound: 'at least', ok: judged !== null && judged >= limit }
}

/** A line for people: `ok    push, auto, of its floor: 1.012 (1.008..1.016), at most 1.05`. */
export function formatCriterion({ name, value, ci95, limit, bound, ok }: Criterion): string {
  const shown = value === null ? 'not measured' : figure(value)
  const interval = ci95 === null ? '' : ` (${figure(ci95[0])}..${figure(ci95[1])})`
  return `${ok ? 'ok  ' : 'MISS'}  ${name}: ${shown}${interval}, ${bound} ${limit}`
}

function figure(value: number): string {
  return String(Number(value.toPrecision(4)))
}
