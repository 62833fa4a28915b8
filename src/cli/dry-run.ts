import type { RoutePrediction } from '../client/index.ts'
import type { ConnectOptions } from '../node/index.ts'
import type { Context } from './command.ts'
import { exitStatus } from './report.ts'

const columns = ['route', 'network ms a token', 'at least', 'at most']

/** Tells what each route would take, and generates nothing. */
export async function dryRun(options: ConnectOptions, json: boolean, context: Context): Promise<number> {
  const { terminal, logger, signal } = context
  const { connect } = await import('../node/index.ts')
  const connection = await connect({ ...options, logger, signal })
  try {
    const routes = connection.predict()
    const inOrder = connection.servers.toSorted((a, b) => a.from - b.from || a.to - b.to)
    const servers = inOrder.map(({ peerId, from, to, pingMs }) => ({ peerId, blocks: [from, to], pingMs }))
    terminal.out(json ? `${JSON.stringify({ servers, routes })}\n` : predictionTable(routes))
    return exitStatus.done
  } finally {
    await connection.close()
  }
}

export function predictionTable(routes: readonly RoutePrediction[]): string {
  const ms = (value: number): string => value.toFixed(1)
  const rows = [
    columns,
    ...routes.map(({ route, networkMs, leastMs, mostMs }) => [route, ms(networkMs), ms(leastMs), ms(mostMs)])
  ]
  const lines = rows.map(row =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(10) : cell.padStart(columns[i]?.length ?? 0)))
      .join('  ')
      .trimEnd()
  )
  const notes = [
    'From the pings between this client and the servers; how far servers are from each other is not known here.',
    'What the servers compute comes on top, the same by every route: generate --explain tells it.'
  ]
  return `${[...lines, '', ...notes].join('\n')}\n`
}
