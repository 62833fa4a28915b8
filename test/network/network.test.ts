import { afterEach, describe, expect, it } from 'vitest'
import {
  createIdentity,
  createNetwork,
  type Network,
  type NetworkInit,
  type PeerStream
} from '../../src/network/index.ts'

const open: Network[] = []

async function start(init: Partial<NetworkInit> = {}): Promise<Network> {
  const network = await createNetwork({ identity: await createIdentity(), ...init })
  open.push(network)
  return network
}

const server = (init: Partial<NetworkInit> = {}) => start({ listen: ['/ip4/127.0.0.1/tcp/0'], ...init })

afterEach(async () => {
  await Promise.all(open.splice(0).map(network => network.close()))
})

const echo = (stream: PeerStream): void => {
  stream.onData = chunk => void stream.send([chunk])
}

function collect(stream: PeerStream, bytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Uint8Array[] = []
    let received = 0
    stream.onClose = error => reject(error ?? new Error('closed before all bytes came'))
    stream.onData = chunk => {
      chunks.push(chunk)
      received += chunk.byteLength
      if (received >= bytes) resolve(Buffer.concat(chunks))
    }
  })
}

const closed = (stream: PeerStream) =>
  new Promise<Error | undefined>(resolve => {
    stream.onClose = resolve
  })

describe('streams', () => {
  it('carry bytes there and back', async () => {
    const a = await server()
    const b = await start()
    await a.handle('/test/echo', echo)
    const stream = await b.openStream(a.addresses(), '/test/echo')
    const back = collect(stream, 11)
    stream.send([Buffer.from('hello '), Buffer.from('world')])
    expect((await back).toString()).toBe('hello world')
    expect(stream.remotePeer).toBe(a.peerId)
    expect(await b.ping(a.peerId)).toBeGreaterThan(0)
  })

  it('end at both ends without an error when one closes', async () => {
    const a = await server()
    const b = await start()
    const arrived = new Promise<PeerStream>(resolve => void a.handle('/test/close', resolve))
    const stream = await b.openStream(a.addresses(), '/test/close')
    const there = closed(await arrived)
    const here = closed(stream)
    await stream.close()
    expect([await here, await there]).toEqual([undefined, undefined])
  })
})
