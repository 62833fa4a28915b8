import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { afterEach, expect, it, onTestFinished } from 'vitest'
import type { PeerStream } from '../../src/network/index.ts'
import { Cluster, echo, until } from './cluster.ts'
import { descriptors, noDescriptors } from './descriptors.ts'

// Sockets are counted where the system counts them: what a pool believes to have closed may still be open.

const cluster = new Cluster()
afterEach(() => cluster.close())

const IDLE_MS = 500
const program = (name: string): URL => new URL(`../fixtures/network/${name}.mjs`, import.meta.url)

interface Told {
  readonly addresses: string[]
  readonly connectionsOpen: number
  readonly connectionsIdleClosed: number
  readonly open: number
}

async function ask(child: ChildProcess): Promise<Told> {
  const answer = once(child, 'message')
  child.send('')
  const [told] = (await answer) as [Told]
  return told
}

it.skipIf(noDescriptors)(
  '200 connections that idle leave both processes with the descriptors they began with',
  async () => {
    const server = fork(program('idle-server'), [String(IDLE_MS)])
    onTestFinished(() => void server.disconnect())
    await once(server, 'message')
    const clients = await Promise.all(
      Array.from({ length: 200 }, () => cluster.client({ connectionIdleTimeoutMs: IDLE_MS }))
    )
    const before = await ask(server)
    const here = await descriptors()
    const streams: PeerStream[] = []
    // Not all at once: their handshakes would share the time that one may take.
    for (let i = 0; i < clients.length; i += 5) {
      const opening = clients.slice(i, i + 5).map(client => client.openStream(before.addresses, '/test/echo'))
      streams.push(...(await Promise.all(opening)))
    }
    expect((await ask(server)).connectionsOpen).toBe(200)
    expect(await descriptors()).toBe(here + 200)
    expect((await ask(server)).open).toBe(before.open + 200)

    for (const stream of streams) void stream.close()
    await until(() => clients.every(({ counters }) => counters.connectionsOpen === 0))
    let after = await ask(server)
    while (after.connectionsOpen > 0 || after.open > before.open) after = await ask(server)
    expect(after.open).toBe(before.open)
    while ((await descriptors()) > here) await new Promise(resolve => setImmediate(resolve))
    expect(await descriptors()).toBe(here)
    const closed = clients.reduce(
      (sum, { counters }) => sum + counters.connectionsIdleClosed,
      after.connectionsIdleClosed
    )
    expect(closed, 'connections closed as idle, by one end or by both').toBeGreaterThanOrEqual(200)
  }
)

it.skipIf(noDescriptors)('ten threads with a pool each leave nothing behind, however they end', async () => {
  const server = await cluster.server()
  await server.handle('/test/echo', echo)
  const before = await descriptors()
  const workerData = { addresses: server.addresses() }
  const threads = Array.from({ length: 10 }, () => new Worker(program('client-thread'), { workerData }))
  const ended = threads.map(thread => once(thread, 'exit'))
  await Promise.all(threads.map(thread => once(thread, 'message')))
  expect(server.counters).toMatchObject({ connectionsOpen: 10, streamsOpen: 10 })
  for (const [i, thread] of threads.entries()) {
    if (i % 3 === 0) thread.postMessage('close')
    else if (i % 3 === 1) thread.postMessage('exit')
    else void thread.terminate()
  }
  await Promise.all(ended)
  await until(() => server.counters.connectionsOpen === 0)
  expect(server.counters.streamsOpen).toBe(0)
  while ((await descriptors()) > before) await new Promise(resolve => setImmediate(resolve))
  expect(await descriptors()).toBe(before)
})
