import '../../base/polyfill.ts'
import { createIdentity, createNetwork, type Network, type PeerStream } from '../../network/index.ts'
import { UsageError } from '../../base/index.ts'
import { answerParent } from '../child-answers.ts'
import { descriptorsOf } from './descriptors.ts'
import type { LedgerCalls } from './ledger-calls.ts'
import { ackBytes, LEDGER_PROTOCOL, RequestReader } from './ledger-protocol.ts'

// A server that carries out requests by writing them down, and acknowledges each.

const times = new Map<number, number>()
let network: Network | undefined

function serve(stream: PeerStream): void {
  const reader = new RequestReader(request => {
    times.set(request.id, (times.get(request.id) ?? 0) + 1)
    stream.send([ackBytes(request)])
  })
  stream.onData = chunk => reader.push(chunk)
}

answerParent<LedgerCalls>({
  async start({ idleTimeoutMs, keepAliveMs }) {
    network = await createNetwork({
      identity: await createIdentity(),
      listen: ['/ip4/127.0.0.1/tcp/0'],
      connectionIdleTimeoutMs: idleTimeoutMs,
      keepAliveMs
    })
    await network.handle(LEDGER_PROTOCOL, serve)
    const [, port] = /\/tcp\/(\d+)/.exec(network.addresses()[0] ?? '') ?? []
    return { peerId: network.peerId, port: Number(port) }
  },
  missing: ({ ids }) => ids.filter(id => !times.has(id)),
  async report() {
    if (network === undefined) throw new UsageError('the ledger was not started')
    const { connectionsOpen, streamsOpen, leasesOpen, connectionsIdleClosed } = network.counters
    return {
      executed: times.size,
      repeated: [...times.values()].filter(count => count > 1).length,
      ...{ connectionsOpen, streamsOpen, leasesOpen, connectionsIdleClosed },
      descriptors: await descriptorsOf(process.pid),
      residentBytes: process.memoryUsage.rss()
    }
  }
})
