import { type Criterion, atLeast, atMost, formatCriterion } from '../criteria.ts'
import type { Poured } from './flood.ts'
import type { LedgerReport } from './ledger-calls.ts'
import type { Tally, Unexcused } from './tally.ts'

/** What is open at one moment, at all ends together. */
export interface Left {
  readonly connections: number
  readonly streams: number
  readonly leases: number
  readonly sessions: number
  /** null where the system does not tell. */
  readonly descriptors: Readonly<Record<'client' | 'ledger' | 'server', number | null>>
  readonly residentBytes: Readonly<Record<'ledger' | 'server', number | null>>
}

export interface SoakReport {
  readonly seed: number
  readonly durationMs: number
  /** How often what was done. */
  readonly actions: Readonly<Record<string, number>>
  readonly done: number
  /** Of them, those whose way nothing had disturbed. */
  readonly clear: number
  readonly acknowledged: number
  readonly steps: number
  /** Failures that a fault explains, by code. */
  readonly excused: Readonly<Record<string, number>>
  readonly unexcused: readonly Unexcused[]
  readonly idleClosed: number
  readonly before: Left
  readonly after: Left
  readonly flood: { readonly poured: Poured; readonly ignored: number } | null
  readonly criteria: readonly Criterion[]
}

export interface SoakOutcome {
  readonly seed: number
  readonly durationMs: number
  readonly tally: Tally
  readonly before: Left
  readonly after: Left
  /** Requests that were acknowledged, and not carried out. */
  readonly lost: readonly number[]
  readonly ledger: LedgerReport
  readonly flood: { readonly poured: Poured; readonly metrics: ReadonlyMap<string, number> } | null
  /** What the server wrote to stderr, at `warn` and above. */
  readonly serverSaid: string
}

/** Of a server of one block of the shipped model, however long it is poured into. */
const MOST_RESIDENT_BYTES = 512 * 1024 * 1024

export function soakReport(outcome: SoakOutcome): SoakReport {
  const { seed, durationMs, tally, before, after, lost, ledger, flood, serverSaid } = outcome
  const ignored = flood?.metrics.get('andthen_pushes_ignored_total') ?? 0
  const more = (process: keyof Left['descriptors']): number | null => {
    const [then, now] = [before.descriptors[process], after.descriptors[process]]
    return then === null || now === null ? null : now - then
  }
  const processes = (['client', 'ledger', 'server'] as const).filter(process => more(process) !== null)
  return {
    ...{ seed, durationMs, before, after },
    actions: Object.fromEntries(tally.actions),
    ...{ done: tally.done, clear: tally.clear, acknowledged: tally.acknowledged.size, steps: tally.steps },
    excused: Object.fromEntries(tally.excused),
    unexcused: tally.kept,
    idleClosed: ledger.connectionsIdleClosed,
    flood: flood === null ? null : { poured: flood.poured, ignored },
    criteria: [
      atMost('acknowledged requests that were lost', 0, lost.length),
      atMost('requests that were carried out twice', 0, ledger.repeated),
      atMost('requests that failed, and nothing had disturbed them', 0, tally.unexcused),
      atLeast('requests done that nothing had disturbed', 1, tally.clear),
      atLeast('connections that closed as idle', 1, ledger.connectionsIdleClosed),
      atMost('connections left', 0, after.connections),
      atMost('streams left', 0, after.streams),
      atMost('leases left', 0, after.leases),
      atMost('sessions left', 0, after.sessions),
      ...processes.map(process => atMost(`descriptors more than before, ${process}`, 0, more(process))),
      atMost('resident bytes of the server', MOST_RESIDENT_BYTES, after.residentBytes.server ?? 0),
      atMost(
        'lines that the server logged as odd',
        0,
        serverSaid.split('\n').filter(line => line.trim() !== '').length
      ),
      ...(flood === null ? [] : [atLeast('pushes of the flood that were counted as ignored', 1, ignored)])
    ]
  }
}

export function formatSoak(report: SoakReport): string {
  const { seed, durationMs, actions, done, clear, acknowledged, steps, excused, unexcused, flood } = report
  const listed = (counts: object): string =>
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(', ')
  return [
    `${durationMs / 1_000} s, seed ${seed}: ${listed(actions)}`,
    `${done} done (${clear} undisturbed), ${acknowledged} acknowledged, ${steps} steps; failed with an excuse: ${listed(excused) || 'none'}`,
    ...(flood === null ? [] : [`flood: ${listed(flood.poured)}; ignored ${flood.ignored}`]),
    ...report.criteria.map(formatCriterion),
    ...unexcused.map(
      ({ way, what, code, message, at, afterMs }) =>
        `  ${what} on way ${way} at ${at} ms, ${afterMs} ms long: ${code} ${message}`
    )
  ].join('\n')
}
