import { expect, it, onTestFinished, vi } from 'vitest'
import { Relay, type ServerProcess } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import { runSources } from '../bench/run-sources.ts'
import { program } from '../cli/program.ts'
import { evenSpans, goldens, shakespeareBlocks } from './model.ts'
import { patience, serveSpans, sessionsOf, stopAll } from './swarm.ts'

// Two clients of the same two servers, which have room for one session each, and each client is there first at another one.

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const { prompt, greedy_ids } = goldens[0]!
const tokens = 4
/** Longer than one client may be started after the other. */
const delayMs = 300

const metric = async ({ ready }: ServerProcess, name: string): Promise<number> => {
  const metrics = await (await fetch(`${ready.admin}/metrics`)).text()
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(metrics)?.[1])
}

it.each(['push', 'delegate'])('do not wait for each other, by %s: both get their text', async route => {
  const servers = await serveSpans(evenSpans(shakespeareBlocks, 2), ['--max-sessions', '1'])
  onTestFinished(() => stopAll(servers))
  vi.stubEnv('NODE_OPTIONS', runSources)
  const relay = new Relay()
  onTestFinished(() => relay.close())
  const [near, far]: [string[], string[]] = [[], []]
  for (const { ready } of servers) {
    const [, port] = /\/tcp\/(\d+)/.exec(ready.addresses[0] ?? '') ?? []
    const link = await relay.startLink({ target: { host: '127.0.0.1', port: Number(port) }, delayMs })
    near.push(ready.addresses[0] ?? '')
    far.push(`/ip4/127.0.0.1/tcp/${link.port}/p2p/${ready.peerId}`)
  }
  vi.unstubAllEnvs()
  const generating = (peers: readonly (string | undefined)[]) =>
    program('generate', [
      ...['--peers', peers.join(), '--prompt', prompt, '--max-new-tokens', String(tokens)],
      ...['--route', route, '--json']
    ])
  for (const { status, out, err } of await Promise.all([
    generating([near[0], far[1]]),
    generating([far[0], near[1]])
  ])) {
    expect(status, err).toBe(0)
    const result = JSON.parse(out) as GenerationResult
    expect(result).toMatchObject({ tokenIds: greedy_ids.slice(0, tokens), replays: 0 })
  }
  for (const server of servers) {
    expect(await metric(server, 'andthen_sessions_ended_total\\{reason="DEADLINE"\\}'), 'nobody gave up').toBe(0)
    expect(await sessionsOf(server)).toEqual([])
  }
})
