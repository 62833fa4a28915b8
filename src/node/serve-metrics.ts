import type { Metrics } from '../gateway/index.ts'
import type { InferenceServer, Ledger } from '../inference/index.ts'
import type { Network } from '../network/index.ts'
import type { SessionStatistics } from '../session/index.ts'

export interface MetricSources {
  readonly server: InferenceServer
  readonly network: Network
  readonly ledger: Ledger
  readonly memoryBytes: { readonly weights: number; readonly kv: number }
  readonly draining: () => boolean
}

type Read = () => number | Iterable<readonly [label: string, value: number]>
type Row = readonly [name: string, help: string, read: Read, label?: string]

/** Registers a node's metrics: all are read from what the rooms count anyway, when somebody scrapes. */
export function registerMetrics(metrics: Metrics, sources: MetricSources): void {
  const rows = [...workRows(sources), ...sessionRows(sources), ...networkRows(sources.network)]
  for (const [name, help, read, label] of rows) {
    const register = name.endsWith('_total') ? metrics.counter : metrics.gauge
    register({ name, help, labels: label === undefined ? [] : [label] }, () => {
      const value = read()
      if (typeof value === 'number') return [{ labels: {}, value }]
      return [...value].map(([text, each]) => ({ labels: { [label ?? '']: text }, value: each }))
    })
  }
}

function workRows({ ledger, memoryBytes, draining }: MetricSources): Row[] {
  return [
    ['draining', '1 while the node takes no new sessions', () => Number(draining())],
    ['memory_bytes', 'Memory set aside for the span', () => Object.entries(memoryBytes), 'for'],
    ['tokens_total', 'Tokens computed by this span', () => ledger.tokens],
    ['hidden_states_sent_bytes_total', 'Hidden states sent to clients and pushed on', () => ledger.bytesOut],
    ['clients_total', 'Different clients that opened a session', () => ledger.clients.size],
    ['mismatches_total', 'Pushes that differed from what the client was given', () => ledger.mismatches],
    ['pushes_total', 'Pushes by what became of them', () => Object.entries(ledger.pushes), 'outcome'],
    ['pushes_ignored_total', 'Pushes that changed nothing, by reason', () => ledger.ignored, 'reason'],
    ['push_streams_ended_total', 'Push streams ended: too many pushes in vain', () => ledger.pushStreamsEnded]
  ]
}

function sessionRows({ server, ledger }: MetricSources): Row[] {
  const of = (read: (statistics: SessionStatistics) => ReturnType<Read>): Read => {
    return () => read(server.table.statistics())
  }
  return [
    ['sessions', 'Sessions by state', of(s => Object.entries(s.sessions)), 'state'],
    ['sessions_opened_total', 'Sessions that were given a row', () => ledger.sessions],
    ['sessions_refused_total', 'Sessions refused: draining, no place in the backlog, too large', of(s => s.refused)],
    [
      'sessions_over_limit_total',
      'Sessions refused: their client has as many as one may',
      () => ledger.sessionsOverLimit
    ],
    ['sessions_resumed_total', 'Times that a client came back on another stream', of(s => s.resumed)],
    ['sessions_ended_total', 'Sessions ended, by reason', of(s => Object.entries(s.ended)), 'reason'],
    ['sessions_parked_total', 'Times that a session gave up its row', of(s => s.parkings)],
    ['sessions_unparked_total', 'Times that a parked session got a row back', of(s => s.unparkings)],
    ['slots_free', 'Rows of the KV cache that no session has', of(s => s.freeSlots)],
    ['slots_lost_total', 'Rows that could not be emptied and are not used again', of(s => s.lostRows)],
    ['session_state_bytes', 'KV cache that sessions have filled, in rows and parked', of(s => s.stateBytes)],
    ['session_reserved_bytes', 'KV cache that sessions with a row may fill', of(s => s.reservedBytes)],
    ['session_hook_failures_total', 'Session hooks that threw or took too long', of(s => s.hookFailures)],
    ['leases_ended_total', 'Leases that have ended', of(s => s.lease.count)],
    ['lease_seconds_total', 'How long the leases that ended lasted, summed', of(s => s.lease.totalMs / 1000)],
    ['lease_oldest_seconds', 'Age of the oldest lease', of(s => s.oldestLeaseMs / 1000)],
    ['backlog_granted_total', 'Sessions that waited for a row and got it', of(s => s.backlogWait.count)],
    ['backlog_wait_seconds_total', 'How long these waited, summed', of(s => s.backlogWait.totalMs / 1000)],
    ['backlog_wait_longest_seconds', 'The longest of these waits', of(s => s.backlogWait.longestMs / 1000)]
  ]
}

function networkRows(network: Network): Row[] {
  const { counters: c } = network
  const refusals = (): [string, number][] => [
    ['address', c.refusedByAddress],
    ['peer', c.refusedByPeer],
    ['rate', c.refusedByRate],
    ['host', c.refusedByHost],
    ['full', c.refusedFull],
    ['relay', c.refusedByRelay]
  ]
  const closures = (): [string, number][] => [
    ['idle', c.connectionsIdleClosed],
    ['dead', c.connectionsDead],
    ['overstayed', c.connectionsOverstayed],
    ['flooding', c.connectionsFlooding],
    ['other', c.connectionsEnded - c.connectionsDead - c.connectionsOverstayed - c.connectionsFlooding]
  ]
  const unmade = (): [string, number][] => [
    ['silent', c.dialsSpared],
    ['crowded', c.dialsEvicted]
  ]
  const relayRefusals = (): [string, number][] => [
    ['place', c.relayPlacesRefused],
    ['connection', c.relayConnectionsRefused]
  ]
  const overLimit = (): [string, number][] => [
    ['streams', c.streamsOverCount],
    ['bytes', c.streamsOverBytes]
  ]
  return [
    ['connections', 'Connections that are open', () => c.connectionsOpen],
    ['connection_leases', 'What holds connections now: streams, and relays that are kept', () => c.leasesOpen],
    ['connections_opened_total', 'Connections opened, both ways', () => c.connectionsOpened],
    [
      'connections_closed_total',
      'Connections closed: as idle, as dead, as used after goodbye, as flooding, or otherwise',
      closures,
      'reason'
    ],
    ['connections_refused_total', 'Connections of others that were refused, by reason', refusals, 'reason'],
    ['dials_total', 'Connections that this node tried to open', () => c.dialsStarted],
    ['dials_failed_total', 'Of them, those that failed', () => Object.entries(c.dialsFailed), 'reason'],
    ['dials_unmade_total', 'Dials for clients that were not made, or given up', unmade, 'reason'],
    ['dials_relayed_total', 'Of them, those that succeeded through a relay', () => c.dialsRelayed],
    ['relays', 'Relays that this node is reached through', () => network.relaying().relays],
    ['relay_places', 'Nodes that may be reached through this one', () => network.relaying().places],
    ['relay_connections', 'Connections that go through this node', () => network.relaying().connections],
    ['relay_refused_total', 'Places and connections refused to a host that has its share', relayRefusals, 'reason'],
    ['streams', 'Streams that are open', () => c.streamsOpen],
    ['streams_opened_total', 'Streams opened, both ways', () => c.streamsOpened],
    ['streams_failed_total', 'Streams that broke or were aborted', () => c.streamsFailed],
    ['streams_limited_total', 'Streams ended because a peer was over its limit', overLimit, 'reason'],
    ['received_bytes_total', 'Bytes received in streams', () => c.bytesReceived],
    ['sent_bytes_total', 'Bytes sent in streams', () => c.bytesSent]
  ]
}
