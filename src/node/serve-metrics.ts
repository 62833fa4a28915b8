import type { Metrics } from '../gateway/index.ts'
import type { InferenceServer, Ledger } from '../inference/index.ts'
import type { Network } from '../network/index.ts'

export interface MetricSources {
  readonly server: InferenceServer
  readonly network: Network
  readonly ledger: Ledger
}

/** Registers a node's metrics: all are read from what the rooms count anyway, when somebody scrapes. */
export function registerMetrics(metrics: Metrics, { server, network, ledger }: MetricSources): void {
  const plain = (name: string, help: string, read: () => number): void =>
    metrics.gauge({ name, help }, () => [{ labels: {}, value: read() }])

  plain('tokens_total', 'Tokens computed by this span', () => ledger.tokens)
  plain('hidden_states_sent_bytes', 'Bytes of hidden states sent to clients and pushed on', () => ledger.bytesOut)
  plain('mismatches_total', 'Pushes that differed from what the client got', () => ledger.mismatches)
  metrics.gauge({ name: 'pushes_total', help: 'Pushes by what became of them', labels: ['outcome'] }, () =>
    Object.entries(ledger.pushes).map(([outcome, value]) => ({ labels: { outcome }, value }))
  )
  metrics.gauge(
    { name: 'pushes_ignored_total', help: 'Pushes that changed nothing, by reason', labels: ['reason'] },
    () => [...ledger.ignored].map(([reason, value]) => ({ labels: { reason }, value }))
  )
  plain('sessions_opened_total', 'Sessions granted', () => ledger.sessions)
  metrics.gauge({ name: 'sessions', help: 'Sessions by state', labels: ['state'] }, () =>
    Object.entries(server.table.statistics().sessions).map(([state, value]) => ({ labels: { state }, value }))
  )
  metrics.gauge({ name: 'sessions_ended_total', help: 'Sessions ended, by reason', labels: ['reason'] }, () =>
    Object.entries(server.table.statistics().ended).map(([reason, value]) => ({ labels: { reason }, value }))
  )
  plain('session_state_bytes', 'KV cache that sessions have filled', () => server.table.statistics().stateBytes)
  metrics.gauge({ name: 'network_total', help: 'Connections, dials, streams and bytes', labels: ['what'] }, () =>
    Object.entries(network.counters).map(([what, value]) => ({ labels: { what }, value: Number(value) }))
  )
}
