import { expect, it, onTestFinished } from 'vitest'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import { openSession, type SpanSession } from '../../src/inference/index.ts'
import { createIdentity, createNetwork, type Network } from '../../src/network/index.ts'
import { serve, type ServePeerLimits, type ServerNode } from '../../src/node/index.ts'

// A client that asks for more than its share is told so, in words that a program can act on; others are not concerned.

async function serving(peerLimits: ServePeerLimits): Promise<ServerNode> {
  const node = await serve({
    model: 'models/tiny-shakespeare',
    blocks: { from: 0, to: 1 },
    listen: ['/ip4/127.0.0.1/tcp/0'],
    threads: 1,
    maxLength: 16,
    peerLimits
  })
  onTestFinished(() => node.close())
  return node
}

async function client(): Promise<Network> {
  const network = await createNetwork({ identity: await createIdentity() })
  onTestFinished(() => network.close())
  return network
}

function open(network: Network, { info }: ServerNode, modelDigest = info.modelDigest): Promise<SpanSession> {
  const span = { modelDigest: Buffer.from(modelDigest, 'hex'), from: 0, to: 1, maxLength: 16 }
  return openSession(
    { network, logger: silentLogger, clock: systemClock },
    { ...span, peer: info.addresses, maxTensorBytes: 512, verify: 'copy' }
  )
}

async function metric({ info }: ServerNode, name: string): Promise<number> {
  const page = await (await fetch(`${info.admin}/metrics`)).text()
  return Number(
    page
      .split('\n')
      .find(line => line.startsWith(`${name} `))
      ?.slice(name.length)
  )
}

it('sessions at a time', async () => {
  const node = await serving({ sessions: 1 })
  const [greedy, modest] = [await client(), await client()]
  const first = await open(greedy, node)
  await expect(open(greedy, node)).rejects.toMatchObject({ code: 'RATE_LIMITED', retryable: true })
  expect(await metric(node, 'andthen_sessions_over_limit_total')).toBe(1)
  await (await open(modest, node)).close()
  await first.close()
  await (await open(greedy, node)).close()
})

it('requests', async () => {
  const node = await serving({ requests: 1 })
  const [greedy, modest] = [await client(), await client()]
  const answers = await Promise.all(
    Array.from({ length: 30 }, () => open(greedy, node, '00'.repeat(32)).catch((error: { code: string }) => error.code))
  )
  const limited = answers.filter(code => code === 'RATE_LIMITED')
  expect(new Set(answers)).toEqual(new Set(['MODEL_MISMATCH', 'RATE_LIMITED']))
  // Ten at once, and what a second or two add.
  expect(limited.length).toBeGreaterThan(10)
  expect(await metric(node, 'andthen_streams_limited_total{reason="streams"}')).toBe(limited.length)
  await (await open(modest, node)).close()
})
