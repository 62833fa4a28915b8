import { connect, type Socket } from 'node:net'
import { once } from 'node:events'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, expect, it } from 'vitest'
import { createCounters } from '../../src/network/counters.ts'
import { Handshakes } from '../../src/network/handshakes.ts'
import { Cluster } from './cluster.ts'

const cluster = new Cluster()
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await cluster.close()
})

it('where all places are taken the oldest goes of the host that has most, and no other', async () => {
  const counters = createCounters()
  const handshakes = new Handshakes({ counters }, { most: 3 })
  const gone: string[] = []
  const ends = new Map<string, () => void>()
  const begin = (name: string, host: string): Promise<unknown> =>
    handshakes.run(
      {
        remoteAddr: multiaddr(`/ip4/${host}/tcp/1`),
        abort: error => (gone.push(name), ends.get(name)?.(), void error)
      },
      () => new Promise<void>(resolve => ends.set(name, resolve))
    )
  const [, loud] = [begin('only', '192.0.2.1'), begin('first', '192.0.2.2'), begin('second', '192.0.2.2')]
  const third = begin('third', '192.0.2.2')
  await loud
  expect([gone, counters.refusedFull]).toEqual([['first'], 1])
  ends.get('third')?.()
  await third
  // One has ended: there is room again.
  void begin('fourth', '192.0.2.3')
  expect(gone).toEqual(['first'])
})

it('those who connect and say nothing keep nobody out', async () => {
  const server = await cluster.server({ maxConnections: 4 })
  const port = Number(/tcp\/(\d+)/.exec(server.addresses()[0] ?? '')?.[1])
  for (let i = 0; i < 32; i++) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined)
    sockets.push(socket)
    await once(socket, 'connect')
  }
  const client = await cluster.client()
  expect(await client.connect(server.addresses())).toBe(server.peerId)
  expect(server.counters.refusedFull).toBe(29)
})
