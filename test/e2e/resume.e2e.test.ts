import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { type Link, Relay, type ServerProcess } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import { runSources } from '../bench/run-sources.ts'
import { Program } from '../cli/program.ts'
import { Gate } from './gate.ts'
import { evenSpans, goldens, shakespeareBlocks } from './model.ts'
import { catchMidway, patience, serveSpans, sessionsOf, stopAll } from './swarm.ts'

// A client that loses its connections, while it and all servers live on: it is back within the grace, and the text goes on.

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const { prompt, greedy_ids, text } = goldens[0]!
const asked = ['--prompt', prompt, '--max-new-tokens', String(greedy_ids.length), '--json']

let servers: ServerProcess[] = []
let relay: Relay | undefined
const links: Link[] = []
const peers: string[] = []

beforeAll(async () => {
  servers = await serveSpans(evenSpans(shakespeareBlocks, 3))
  vi.stubEnv('NODE_OPTIONS', runSources)
  relay = new Relay()
  for (const { ready } of servers) {
    const [, port] = /\/tcp\/(\d+)/.exec(ready.addresses[0] ?? '') ?? []
    const link = await relay.startLink({ target: { host: '127.0.0.1', port: Number(port) } })
    links.push(link)
    peers.push(`/ip4/127.0.0.1/tcp/${link.port}/p2p/${ready.peerId}`)
  }
  vi.unstubAllEnvs()
})
afterAll(async () => {
  await stopAll(servers)
  await relay?.close()
})

const resumedAt = async ({ ready }: ServerProcess): Promise<number> => {
  const metrics = await (await fetch(`${ready.admin}/metrics`)).text()
  return Number(/^andthen_sessions_resumed_total (\d+)$/m.exec(metrics)?.[1])
}

it.each(['relay', 'push', 'delegate'])('by %s', async route => {
  const before = await Promise.all(servers.map(resumedAt))
  const begin = (): Program => new Program('generate', ['--peers', peers.join(), '--route', route, ...asked])
  const { client, thaw } = await catchMidway(begin, servers.slice(0, 1))
  thaw()
  await Promise.all(links.map(link => link.reset()))
  const { status, out, err } = await client.ended
  expect(status, err).toBe(0)
  const result = JSON.parse(out) as GenerationResult
  // Under delegate the client has one session; the first server reaches the others past the links.
  const owned = route === 'delegate' ? 1 : 3
  expect(result).toMatchObject({ tokenIds: greedy_ids, text, finishReason: 'length', replays: 0, resumes: owned })
  const after = await Promise.all(servers.map(resumedAt))
  expect(after.map((count, i) => count - before[i]!)).toEqual([1, 1, 1].map((one, i) => (i < owned ? one : 0)))
  for (const server of servers) expect(await sessionsOf(server)).toEqual([])
})

it('without a connection to anybody for a while: it waits, and is back', async () => {
  const gates = await Promise.all(servers.map(server => Gate.before(server)))
  const through = gates.map(({ address }) => address)
  const begin = (): Program => new Program('generate', ['--peers', through.join(), '--route', 'relay', ...asked])
  const { client, thaw } = await catchMidway(begin, servers.slice(0, 1))
  thaw()
  for (const gate of gates) gate.break(2)
  const { status, out, err } = await client.ended
  for (const gate of gates) gate.close()
  expect(status, err).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ tokenIds: greedy_ids, text, replays: 0, resumes: 3 })
  for (const server of servers) expect(await sessionsOf(server)).toEqual([])
})
