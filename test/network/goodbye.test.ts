import type { Connection, Libp2p } from '@libp2p/interface'
import { beforeEach, describe, expect, it } from 'vitest'
import { ManualClock, silentLogger } from '../../src/base/index.ts'
import { createCounters } from '../../src/network/counters.ts'
import { GOAWAY_PROTOCOL } from '../../src/network/goaway.ts'
import { Libp2pNetwork } from '../../src/network/libp2p-network.ts'
import { ConnectionPool } from '../../src/network/pool.ts'
import { SharedHosts } from '../../src/network/shared-hosts.ts'
import { settle } from '../inference/server/bench.ts'

// A connection closes while the other end is about to use it. On loopback one of two nets catches that nearly always: the
// goodbye before the closing, and the second try. Here the moment is chosen, and each net is seen to hold by itself.

const IDLE_MS = 1_000
const peerId = '12D3KooWGzBXRhTGyFMxs8jFZZ5EcPaEMvRNVhRQNkdJQC8hmVbV'
const address = `/ip4/192.0.2.7/tcp/1/p2p/${peerId}`

class FakeStream extends EventTarget {
  readonly protocol: string
  status = 'open'
  remoteWriteStatus = 'writable'
  constructor(protocol: string) {
    super()
    this.protocol = protocol
  }

  /** The other end closes its side. */
  answer(): void {
    this.remoteWriteStatus = 'closed'
    this.dispatchEvent(new Event('remoteCloseWrite'))
  }

  async close(): Promise<void> {
    this.status = 'closed'
    this.dispatchEvent(new Event('close'))
    return Promise.resolve()
  }
}

class FakeConnection extends EventTarget {
  readonly id: string
  readonly remotePeer = { toString: () => peerId }
  readonly remoteAddr = { toString: () => address }
  status = 'open'
  readonly opened: FakeStream[] = []
  readonly #onClose: (connection: FakeConnection) => void
  /** What opening a stream on it comes to. */
  open: (protocol: string) => Promise<FakeStream> = async protocol => Promise.resolve(new FakeStream(protocol))

  constructor(id: string, onClose: (connection: FakeConnection) => void) {
    super()
    this.id = id
    this.#onClose = onClose
  }

  get streams(): readonly FakeStream[] {
    return this.opened.filter(({ status }) => status === 'open')
  }

  async newStream(protocol: string): Promise<FakeStream> {
    const stream = await this.open(protocol)
    this.opened.push(stream)
    return stream
  }

  async close(): Promise<void> {
    this.end()
    return Promise.resolve()
  }

  /** It is gone, whoever closed it. */
  end(): void {
    if (this.status !== 'open') return
    this.status = 'closed'
    this.#onClose(this)
  }
}

const closed = (): Promise<never> =>
  Promise.reject(Object.assign(new Error('closed'), { name: 'ConnectionClosedError' }))

function scene() {
  const clock = new ManualClock()
  const events = new EventTarget()
  const dialled: FakeConnection[] = []
  const tell = (type: string, detail: FakeConnection): boolean =>
    events.dispatchEvent(new CustomEvent(type, { detail }))
  const libp2p = Object.assign(events, { peerId: { toString: () => 'this node' } }) as unknown as Libp2p
  const wire = {
    dialAddress: async () => {
      const connection = new FakeConnection(String(dialled.length), gone => tell('connection:close', gone))
      dialled.push(connection)
      tell('connection:open', connection)
      return Promise.resolve(connection as unknown as Connection)
    },
    dialPeer: () => Promise.reject(new Error('every peer is dialled at its address here'))
  }
  const counters = createCounters()
  const components = {
    libp2p,
    wire,
    refusal: () => undefined,
    clock,
    logger: silentLogger,
    counters,
    shared: new SharedHosts()
  }
  const pool = new ConnectionPool(components, { idleTimeoutMs: IDLE_MS, maxConnections: 8, maxDials: 8 })
  const network = new Libp2pNetwork(
    { ...components, pool, node: { libp2p } as never, reservations: {} as never },
    { announce: [], limits: {} }
  )
  const connect = async (): Promise<FakeConnection> => {
    await network.connect(address)
    const connection = dialled.at(-1)
    if (connection === undefined) throw new Error('nothing was dialled')
    return connection
  }
  return { clock, pool, network, dialled, connect, counters: components.counters }
}

let world: ReturnType<typeof scene>
let connection: FakeConnection
beforeEach(async () => {
  world = scene()
  connection = await world.connect()
})

describe('an idle connection', () => {
  const goodbye = (): FakeStream | undefined => connection.opened.find(({ protocol }) => protocol === GOAWAY_PROTOCOL)
  beforeEach(async () => {
    world.clock.advance(IDLE_MS)
    await settle()
  })

  it('says goodbye, and is open until that is answered', async () => {
    expect([goodbye()?.status, connection.status]).toEqual(['open', 'open'])
    goodbye()?.answer()
    await settle()
    expect(connection.status).toBe('closed')
  })

  it('serves the stream that the other end opened at that moment, and closes after it', async () => {
    const arriving = new FakeStream('/test/echo')
    connection.opened.push(arriving)
    const lease = world.pool.hold(connection as unknown as Connection)
    goodbye()?.answer()
    await settle()
    expect(connection.status).toBe('open')
    await arriving.close()
    lease[Symbol.dispose]()
    await settle()
    expect(connection.status).toBe('closed')
  })

  it('waits for a stream that is not with its handler yet when the goodbye is answered', async () => {
    const arriving = new FakeStream('')
    connection.opened.push(arriving)
    goodbye()?.answer()
    await settle()
    expect(connection.status).toBe('open')
    await arriving.close()
    world.clock.advance(IDLE_MS)
    await settle()
    expect(connection.status).toBe('closed')
  })

  it('is not used for what is opened from here: that goes over a fresh one', async () => {
    await world.network.openStream(address, '/test/echo')
    expect(connection.opened.map(({ protocol }) => protocol)).toEqual([GOAWAY_PROTOCOL])
    expect(world.dialled[1]?.opened.map(({ protocol }) => protocol)).toEqual(['/test/echo'])
  })
})

describe('a stream is opened on another connection where the one that was there', () => {
  it.each<[string, (one: FakeConnection) => Promise<never>]>([
    ['is closed by the peer between its lease and its stream', one => (one.end(), closed())],
    ['looks open, and takes no stream any more', closed]
  ])('%s', async (_, open) => {
    connection.open = () => open(connection)
    const stream = await world.network.openStream(address, '/test/echo')
    expect(stream.remotePeer).toBe(peerId)
    expect(world.dialled[1]?.opened.map(({ protocol }) => protocol)).toEqual(['/test/echo'])
    expect(world.counters.leasesOpen).toBe(1)
  })

  it('closes as the stream was opened on it', async () => {
    connection.open = protocol => {
      connection.end()
      return Promise.resolve(new FakeStream(protocol))
    }
    await world.network.openStream(address, '/test/echo')
    expect(world.dialled).toHaveLength(2)
    expect(world.counters.leasesOpen).toBe(1)
  })

  it('but not where a fresh one fails, too: who asked is told', async () => {
    connection.end()
    const opening = world.network.openStream(address, '/test/echo')
    await Promise.resolve()
    const fresh = world.dialled[1]
    if (fresh !== undefined) fresh.open = closed
    await expect(opening).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true })
    expect(world.dialled).toHaveLength(2)
    expect(world.counters.leasesOpen).toBe(0)
  })
})
