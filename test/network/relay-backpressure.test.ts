import { describe, expect, it, vi } from 'vitest'
import { MAX_RELAYED_BYTES } from '../../src/network/constants.ts'
import { boundRelayed } from '../../src/network/relay-backpressure.ts'

const KiB = 1_024

/** One end of a relayed connection: what it sends is taken, and its window is granted anew, as yamux does. */
class End extends EventTarget {
  status = 'open'
  readonly sent: number[] = []
  readonly sendWindowUpdate = vi.fn()

  send(bytes: Uint8Array): boolean {
    this.sent.push(bytes.byteLength)
    return true
  }

  brings(bytes: number): void {
    this.dispatchEvent(Object.assign(new Event('message'), { data: new Uint8Array(bytes) }))
    this.sendWindowUpdate()
  }
}

/** libp2p's relay, as far as it matters here: it opens the other stream, and joins both. */
class Server {
  readonly offers: unknown[][] = []
  readonly joined: End[][] = []
  readonly other: End | undefined

  constructor(other?: End) {
    this.other = other
  }

  async stopHop(...offer: unknown[]): Promise<End | undefined> {
    this.offers.push(offer)
    return Promise.resolve(this.other)
  }

  async handleConnect(hop: { stream: { unwrap(): End } }, options: unknown): Promise<void> {
    const to = await this.stopHop('to', options)
    if (to !== undefined) this.joined.push([hop.stream.unwrap(), to])
  }
}

async function joined(): Promise<{ from: End; to: End; grants: () => number[] }> {
  const [from, to] = [new End(), new End()]
  const granted = [from.sendWindowUpdate, to.sendWindowUpdate]
  const server = new Server(to)
  boundRelayed(server)
  await server.handleConnect({ stream: { unwrap: () => from } }, 'options')
  expect([server.joined, server.offers]).toEqual([[[from, to]], [['to', 'options']]])
  return { from, to, grants: () => granted.map(grant => grant.mock.calls.length) }
}

describe('a relay', () => {
  it('grants an end nothing more while a MiB of it waits for the other, and goes on once less waits', async () => {
    const { from, to, grants } = await joined()
    const pieces = MAX_RELAYED_BYTES / (64 * KiB)
    for (let i = 0; i < pieces; i++) from.brings(64 * KiB)
    expect(grants()).toEqual([pieces, 0])
    for (let i = 0; i < 3; i++) from.brings(64 * KiB)
    expect(grants()).toEqual([pieces, 0])
    for (let i = 0; i < 2; i++) to.send(new Uint8Array(64 * KiB))
    expect(grants()).toEqual([pieces, 0])
    // What was held back is granted as one.
    to.send(new Uint8Array(64 * KiB))
    to.send(new Uint8Array(64 * KiB))
    expect(grants()).toEqual([pieces + 1, 0])
    expect(to.sent).toHaveLength(4)
  })

  it('does so each way, and for each by itself', async () => {
    const { from, to, grants } = await joined()
    to.brings(MAX_RELAYED_BYTES + 1)
    from.brings(64 * KiB)
    expect(grants()).toEqual([1, 0])
    from.send(new Uint8Array(1))
    expect(grants()).toEqual([1, 1])
  })

  it('grants nothing to an end that is gone', async () => {
    const { from, to, grants } = await joined()
    from.brings(2 * MAX_RELAYED_BYTES)
    from.status = 'aborted'
    to.send(new Uint8Array(2 * MAX_RELAYED_BYTES))
    expect(grants()).toEqual([0, 0])
  })

  it('answers as ever where the other end cannot be reached, and is refused where it is none that can be bounded', async () => {
    const server = new Server()
    boundRelayed(server)
    await server.handleConnect({ stream: { unwrap: () => new End() } }, 'options')
    expect([server.offers.length, server.joined.length]).toEqual([1, 0])
    expect(() => boundRelayed({ handleConnect: () => undefined })).toThrow('no handleConnect or stopHop')
  })
})
