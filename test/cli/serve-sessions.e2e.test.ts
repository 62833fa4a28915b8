import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { ServerProcess } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import { connect } from '../../src/node/index.ts'
import { goldens } from '../e2e/model.ts'
import {
  addressesOf,
  type Caught,
  catchMidway,
  serveSpans,
  sessionsOf,
  startGenerating,
  stopAll,
  until
} from '../e2e/swarm.ts'
import { Program } from './program.ts'

// Sessions whose clients go, servers that go: the real programs.

async function serving(spans: readonly string[], ...args: string[]): Promise<ServerProcess[]> {
  const servers = await serveSpans(spans, args)
  onTestFinished(() => stopAll(servers))
  return servers
}

/** A client in the middle of a text: it has much more to say, and stands still until it is thawed. */
function midway(servers: readonly ServerProcess[]): Promise<Caught> {
  const begin = () => startGenerating(servers, ['--prompt', 'ROMEO:\n', '--max-new-tokens', '500'])
  return catchMidway(begin, servers.slice(-1), { least: 4, most: 400 })
}

const spans = ['0-4', '4-8', '8-12']
const states = async (servers: readonly ServerProcess[]): Promise<string[]> =>
  (await Promise.all(servers.map(sessionsOf))).flat().map(({ state }) => state)
const ended = async ({ ready }: ServerProcess): Promise<Record<string, number>> => {
  const text = await (await fetch(`${ready.admin}/metrics`)).text()
  const counts = [...text.matchAll(/^andthen_sessions_ended_total\{reason="(\w+)"\} ([1-9]\d*)$/gm)]
  return Object.fromEntries(counts.map(([, reason = '', count]) => [reason, Number(count)]))
}

/** A file of hooks that write down what they are told, and all that they were told. */
async function tellingHooks(): Promise<{ hooks: string; told: () => Promise<string[]> }> {
  const folder = await mkdtemp(join(tmpdir(), 'andthen-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const [hooks, seen] = [join(folder, 'hooks.mjs'), join(folder, 'seen')]
  await writeFile(
    hooks,
    `import { appendFileSync } from 'node:fs'
     const tell = what => appendFileSync(${JSON.stringify(seen)}, what + '\\n')
     export const onStart = () => tell('start')
     export const onEvict = (_, reason) => tell(reason)`
  )
  return { hooks, told: async () => (await readFile(seen, 'utf8')).trim().split('\n').sort() }
}

it('a client that is killed loses its place on every server of its chain, and the hooks hear of it once', async () => {
  const { hooks, told } = await tellingHooks()
  const servers = await serving(spans, '--grace', '200ms', '--hooks', hooks)
  const { client } = await midway(servers)
  expect(await states(servers)).toEqual(['active', 'active', 'active'])
  client.kill('SIGKILL')
  await until(async () => (await states(servers)).length === 0)
  for (const server of servers) expect(await ended(server)).toEqual({ DISCONNECT: 1 })
  expect(await told()).toEqual(['DISCONNECT', 'DISCONNECT', 'DISCONNECT', 'start', 'start', 'start'])
})

it('a session that its operator deletes is over, and there is no other of that id', async () => {
  const [server] = await serving(['0-12'])
  if (server === undefined) throw new Error('no server')
  await midway([server])
  const [session] = await sessionsOf(server)
  const remove = (id = session?.id ?? '') => fetch(`${server.ready.admin}/sessions/${id}`, { method: 'DELETE' })
  expect((await remove()).status).toBe(204)
  expect((await remove()).status).toBe(404)
  expect(await ended(server)).toMatchObject({ CANCEL: 1 })
})

it('a server that drains lets a text end, and takes no other', async () => {
  const [server] = await serving(['0-12'])
  if (server === undefined) throw new Error('no server')
  // Without that it would wait for the server to be started again.
  const timeouts = { waitMs: 0 }
  const late = await connect({ model: 'models/tiny-shakespeare', peers: addressesOf([server]), threads: 1, timeouts })
  onTestFinished(() => late.close())
  const { client, thaw } = await midway([server])
  process.kill(server.pid, 'SIGTERM')
  await until(async () => (await fetch(`${server.ready.admin}/readyz`)).status === 503)
  expect((await fetch(`${server.ready.admin}/healthz`)).status).toBe(200)
  await expect(late.generate({ prompt: 'a' }).result).rejects.toMatchObject({ code: 'DRAINING' })
  thaw()
  const { status, out, err } = await client.ended
  expect(status, err).toBe(0)
  expect(out.length).toBeGreaterThan(100)
})

it.each(['relay', 'push', 'delegate'])(
  'a drain that takes too long, with a spare, by %s: the session ends with DRAIN, and the text goes on as it was',
  async route => {
    const { prompt, greedy_ids, text } = goldens[0]!
    const { hooks, told } = await tellingHooks()
    const servers = await serving([...spans, '4-8'], '--drain-timeout', '100ms', '--hooks', hooks)
    const asked = ['--prompt', prompt, '--max-new-tokens', String(greedy_ids.length), '--route', route, '--json']
    const caught = await catchMidway(() => startGenerating(servers, asked), [servers[1]!, servers[3]!])
    const { pid, ready } = caught.on
    process.kill(pid, 'SIGTERM')
    // Under delegate the others of the route end with it, and another one is opened.
    await until(async () => (await told()).includes('DRAIN'))
    caught.thaw()
    const { status, out, err } = await caught.client.ended
    expect(status, err).toBe(0)
    const result = JSON.parse(out) as GenerationResult
    expect(result).toMatchObject({ tokenIds: greedy_ids, text, resumes: 0 })
    expect(result.replays).toBeGreaterThanOrEqual(1)
    expect(result.hops.map(({ peerId }) => peerId)).not.toContain(ready.peerId)
  }
)

it('a drain that takes too long ends the sessions, with status 0; a second signal ends the server at once', async () => {
  for (const { args, signals, status } of [
    { args: ['--drain-timeout', '100ms'], signals: 1, status: 0 },
    { args: ['--drain-timeout', '1h'], signals: 2, status: 130 }
  ]) {
    const served = ['--blocks', '0-12', '--listen', '/ip4/127.0.0.1/tcp/0', '--log-format', 'json']
    const server = new Program('serve', [...served, ...args])
    await until(() => server.out.endsWith('\n'))
    const ready = JSON.parse(server.out) as ServerProcess['ready']
    const { thaw } = await midway([{ ready } as ServerProcess])
    server.kill('SIGTERM')
    if (signals === 1) thaw()
    else {
      await until(async () => (await fetch(`${ready.admin}/readyz`)).status === 503)
      server.kill('SIGTERM')
    }
    expect((await server.ended).status).toBe(status)
  }
})
