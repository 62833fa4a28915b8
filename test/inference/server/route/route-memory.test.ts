import { describe, expect, it } from 'vitest'
import { checkRouteMemory, routeMemory, underWayBytes } from '../../../../src/inference/server/route/route-memory.ts'
import { createIdentity } from '../../../../src/network/index.ts'
import { Bench, CREDIT_BYTES, MAX_LENGTH, type Node, openOf, type Owner, sessionId, settle } from '../bench.ts'
import { HIDDEN, statesOf } from '../fake-runner.ts'

const MiB = 1024 ** 2
const server = (hiddenSize: number, creditBytes: number) => ({
  facts: { hiddenSize },
  limits: { creditBytes, creditSteps: 8, maxTentative: 8 }
})
const size = server(250, 16 * MiB)
const hop = { peer: { peerId: '', addresses: [], pushKey: new Uint8Array() }, from: 0, to: 1 }

describe('a route', () => {
  it('takes the more memory the more servers it has and the longer its session is, up to the credit of its owner', () => {
    expect(underWayBytes(100, size)).toBe(200_000)
    expect(routeMemory({ hops: [hop] }, 100, size)).toBe(9 * MiB + 200_000)
    expect(routeMemory({ hops: [hop, hop, hop] }, 100, size)).toBe(11 * MiB + 600_000)
    expect(routeMemory({ hops: [hop] }, 1e6, size)).toBe(41 * MiB)
  })

  it.each([
    { need: 10, taken: 0, most: 9, retryable: false },
    { need: 10, taken: 1, most: 10, retryable: true }
  ])('of $need bytes beside $taken of $most is refused; worth asking again: $retryable', ({ retryable, ...bytes }) => {
    const refused = expect.objectContaining({ code: 'QUOTA', retryable })
    expect(() => checkRouteMemory(bytes)).toThrow(refused)
  })

  it('that fits is taken', () => {
    expect(() => checkRouteMemory({ need: 9, taken: 1, most: 10 })).not.toThrow()
  })
})

// What is dialled must be an address of just this peer, so this name is a real one.
const { peerId: second } = await createIdentity()

describe('a node with memory for one route', () => {
  const hops = [
    { peer: { peerId: second, addresses: ['/ip4/127.0.0.1/tcp/1'], pushKey: new Uint8Array() }, from: 4, to: 8 }
  ]
  const route = { hops, hopsLeft: 1, bytesQuota: 1e8 }
  const need = routeMemory(route, MAX_LENGTH, server(HIDDEN, CREDIT_BYTES))
  const id = new Uint8Array(16).fill(2)

  async function chain(): Promise<{ bench: Bench; nodes: [Node, Node] }> {
    const bench = new Bench()
    const first = await bench.node('first', [0, 4], { init: { delegateMemoryBytes: need } })
    return { bench, nodes: [first, await bench.node(second, [4, 8])] }
  }

  async function refused(bench: Bench, node: Node, open: Parameters<typeof openOf>[1]): Promise<Owner> {
    const owner = bench.owner(node)
    owner.send({ kind: 'open', value: openOf(node, open) })
    await settle()
    return owner
  }

  it('refuses a second one until the first has ended, and sessions without a route never', async () => {
    const { bench, nodes } = await chain()
    const one = await bench.session(nodes[0], { route })
    const other = await refused(bench, nodes[0], { route, id })
    expect(other.last('error')).toMatchObject({ code: 'QUOTA', retryable: true, retryAfterMs: 1000 })
    expect(nodes[0].server.sessions()).toHaveLength(1)
    await bench.session(nodes[0], { id: new Uint8Array(16).fill(3) })
    // One that takes the first one's place takes its memory, too.
    await bench.session(nodes[0], { route, id: sessionId, replace: true })
    expect(one.last('terminated').reason).toBe('SUPERSEDED')
    await nodes[0].server.endSession(Buffer.from(sessionId).toString('hex'))
    await settle()
    await bench.session(nodes[0], { route, id })
  })

  it('ends the session whose owner has more under way than a route may', async () => {
    const bench = new Bench()
    const creditBytes = 64 * HIDDEN * 4
    const node = await bench.node('first', [0, 4], { creditBytes })
    const next = await bench.node(second, [4, 8])
    const owner = await bench.session(node, { route })
    // The route's server computes nothing more, so that nothing is answered.
    next.runner.gate = new Promise(() => undefined)
    const states = statesOf(...Array.from({ length: 64 }, (_, i) => i))
    for (let step = 0; step < 3; step++) {
      expect(owner.codes, `${step} windows are under way`).toEqual([])
      owner.step({ step, position: step * 64, n: 64, want: 2 }, states)
      await settle()
    }
    expect(owner.last('error')).toMatchObject({ code: 'QUOTA', retryable: false })
    expect(node.server.sessions()).toEqual([])
  })
})
