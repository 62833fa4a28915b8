import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { latencyFigures, pushFigures, type TimedStep } from '../../src/client/figures.ts'
import type { PassTrace } from '../../src/inference/index.ts'
import { type NotPushed, notPushedNames, type Output } from '../../src/wire/index.ts'

interface Server {
  /** One way from the client and back to it, ms; equal where the link is symmetric. */
  away: number
  back: number
  /** One way from the server before, ms. */
  before: number
  queue: number
  compute: number
  /** From the end of the computation to the push, and from there to the output. */
  toPush: number
  toOutput: number
  /** The server's clock against the client's, ms. */
  clock: number
}

/** What a client would record of one step through these servers; `pushed[i]` is the edge into server i. */
function step(servers: readonly Server[], pushed: readonly boolean[], client: number, idle: number): TimedStep {
  const startedMs = 1000
  let now = startedMs
  const hops: PassTrace['hops'][number][] = []
  for (const [i, server] of servers.entries()) {
    const sentMs = pushed[i] === true ? startedMs : now
    // By push `now` is when the server before let go of it; else when the client sends it.
    const received = now + (pushed[i] === true ? server.before : server.away)
    const ended = received + server.queue + server.compute
    const pushedAt = ended + server.toPush
    const outputAt = pushedAt + server.toOutput
    const arrival = outputAt + server.back
    const ns = (ms: number): number => (ms + server.clock) * 1e6
    const stamps: Output['stamps'] = {
      clockId: new Uint8Array(8),
      pushReceived: pushed[i] === true ? ns(received) : 0,
      copyReceived: pushed[i] === true ? 0 : ns(received),
      computeStart: ns(received + server.queue),
      computeEnd: ns(ended),
      pushQueued: ns(pushedAt),
      outputQueued: ns(outputAt),
      requested: ns(received)
    }
    const output = {
      stamps,
      usedPush: pushed[i] === true,
      pushed: new Uint8Array(16),
      notPushed: 0
    } as unknown as Output
    hops.push({ peerId: `s${i}`, blocks: [i, i + 1], sentMs, headerMs: arrival, tensorMs: arrival, output })
    now = pushed[i + 1] === true ? pushedAt : arrival
  }
  const pass = { position: 9, n: 1, pushed, startedMs, emittedMs: now, hops }
  return { pass, clientMs: client, stepMs: now - startedMs + client + idle }
}

const ms = (max: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: max * 64 }).map(n => n / 64)
const server = fc
  .record({
    away: ms(50),
    before: ms(50),
    queue: ms(5),
    compute: ms(20),
    toPush: ms(1),
    toOutput: ms(1),
    clock: ms(1e6)
  })
  .map(symmetric => ({ ...symmetric, back: symmetric.away }))
const chains = fc
  .array(fc.tuple(server, fc.boolean()), { minLength: 1, maxLength: 5 })
  .map(list => ({ servers: list.map(([s]) => s), pushed: list.map(([, p], i) => i > 0 && p) }))
const pingsOf = (servers: readonly Server[]): Map<string, number> =>
  new Map(servers.map(({ away, back }, i) => [`s${i}`, away + back]))
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)

describe('the figures of a step', () => {
  test('add up to it, and split it as it was, where links to the client are symmetric', () => {
    fc.assert(
      fc.property(chains, ms(5), ms(5), ({ servers, pushed }, client, idle) => {
        const figures = latencyFigures([step(servers, pushed, client, idle)], [], pingsOf(servers))
        const { hops, clientMs, unaccountedMs, stepMs } = figures
        const parts = sum(hops.map(hop => hop.computeMs + hop.queueMs + hop.otherMs + hop.networkMs))
        expect((clientMs ?? 0) + parts + (unaccountedMs ?? 0)).toBeCloseTo(stepMs.mean ?? 0, 6)
        expect(unaccountedMs).toBeCloseTo(idle, 6)
        for (const [i, s] of servers.entries()) {
          const [isPushed, pushedOn] = [pushed[i] === true, pushed[i + 1] === true]
          expect(hops[i]?.computeMs).toBeCloseTo(s.compute, 6)
          expect(hops[i]?.queueMs).toBeCloseTo(s.queue, 6)
          expect(hops[i]?.otherMs).toBeCloseTo(s.toPush + (pushedOn ? 0 : s.toOutput), 6)
          expect(hops[i]?.networkMs).toBeCloseTo((isPushed ? s.before : s.away) + (pushedOn ? 0 : s.away), 6)
          const outAndBack = isPushed ? s.before + s.away - (servers[i - 1]?.away ?? 0) : 2 * s.away
          expect(hops[i]?.detourMs, 'a detour needs no symmetry').toBeCloseTo(outAndBack, 6)
        }
      })
    )
  })

  test('tell by how much asymmetric links could make the split wrong: it never is by more', () => {
    fc.assert(
      fc.property(chains, fc.array(ms(1), { minLength: 5, maxLength: 5 }), ({ servers, pushed }, lean) => {
        const skewed = servers.map((s, i) => {
          const back = 2 * s.away * (lean[i] ?? 0)
          return { ...s, back, away: 2 * s.away - back }
        })
        const { hops } = latencyFigures([step(skewed, pushed, 0, 0)], [], pingsOf(skewed))
        for (const [i, s] of skewed.entries()) {
          const truth = (pushed[i] === true ? s.before : s.away) + (pushed[i + 1] === true ? 0 : s.back)
          const { networkMs = 0, networkErrorMs = 0 } = hops[i] ?? {}
          expect(Math.abs(networkMs - truth)).toBeLessThanOrEqual(networkErrorMs + 1e-6)
        }
      })
    )
  })

  test('have a floor: the least of each part; by push only where every edge was pushed', () => {
    const fast = { away: 10, back: 10, before: 5, queue: 0, compute: 3, toPush: 0, toOutput: 0, clock: 0 }
    const slow = { ...fast, before: 9, compute: 1, queue: 7 }
    const steps = [step([fast, fast], [false, true], 2, 0), step([slow, slow], [false, true], 1, 4)]
    const figures = latencyFigures(steps, [], pingsOf([fast, fast]))
    expect(figures.floorMs).toBeCloseTo(10 + 5 + 10 + 1 + 1 + 1, 6)
    expect(figures.routeFloorMs).toBe(figures.floorMs)
    expect(figures.floorRatio).toBeCloseTo((33 + 50) / 2 / 28, 6)
    const relayed = latencyFigures([step([fast, fast], [false, false], 2, 0)], [], pingsOf([fast, fast]))
    expect(relayed).toMatchObject({ floorMs: null, floorRatio: null })
    expect(relayed.routeFloorMs).toBeCloseTo(2 * (10 + 3 + 10) + 2, 6)
  })

  test('are of the chain that ended it, where a server was replaced; distributions are of all', () => {
    const one = { away: 10, back: 10, before: 5, queue: 0, compute: 3, toPush: 0, toOutput: 0, clock: 0 }
    const before = step([one], [false], 0, 0)
    const [hop] = before.pass.hops
    const renamed = { ...before, pass: { ...before.pass, hops: [{ ...hop!, peerId: 'dead' }] } }
    const after = step([{ ...one, compute: 5 }], [false], 0, 0)
    const { hops, stepMs } = latencyFigures([renamed, after], [], pingsOf([one]))
    expect(hops).toMatchObject([{ peerId: 's0', computeMs: 5 }])
    expect(stepMs.n).toBe(2)
  })

  test('of no step at all are null', () => {
    expect(latencyFigures([], [5], new Map())).toMatchObject({
      stepMs: { n: 0, mean: null },
      msPerToken: { n: 0, mean: null },
      tokensPerSecond: null,
      clientMs: null,
      hops: [],
      unaccountedMs: null,
      floorMs: null,
      routeFloorMs: null,
      floorRatio: null,
      stalls: { count: 0, longestMs: 0, totalMs: 0 }
    })
  })
})

describe('tokens', () => {
  test('are counted from the second on, and long gaps are stalls', () => {
    const figures = latencyFigures([], [0, 10, 20, 30, 130, 140], new Map())
    expect(figures.msPerToken).toMatchObject({ n: 5, mean: 28, max: 100 })
    expect(figures.tokensPerSecond).toBeCloseTo(1000 / 28, 6)
    expect(figures.stalls).toEqual({ count: 1, longestMs: 100, totalMs: 100 })
  })
})

describe('pushes', () => {
  const pass = (pushed: boolean[], outcomes: NotPushed[]): PassTrace => ({
    position: 0,
    n: 1,
    pushed,
    startedMs: 0,
    emittedMs: 0,
    hops: outcomes.map((outcome, i) => ({
      peerId: `s${i}`,
      blocks: [i, i + 1] as const,
      sentMs: 0,
      headerMs: 0,
      tensorMs: 0,
      output: {
        pushed: new Uint8Array(outcome === 'PUSHED' ? 16 : 0),
        notPushed: notPushedNames.indexOf(outcome)
      } as unknown as Output
    }))
  })
  const received = { used: 0, late: 0, ignored: 0, mismatched: 0 }

  test('that were sent and not heard of again are lost; what never left is dropped', () => {
    const passes = [
      pass([false, true, true], ['PUSHED', 'PUSHED', 'NO_NEXT']),
      pass([false, true, true], ['QUEUE_FULL', 'PUSHED', 'NO_NEXT'])
    ]
    expect(pushFigures(passes, { ...received, used: 1, late: 1 })).toEqual({
      sent: 3,
      used: 1,
      late: 1,
      ignored: 0,
      mismatched: 0,
      lost: 1,
      dropped: 1
    })
  })

  test('are not counted on edges that the client relays', () => {
    expect(pushFigures([pass([false, false], ['NO_NEXT', 'NO_NEXT'])], received)).toMatchObject({ sent: 0, dropped: 0 })
  })

  test('that arrived count as sent even where their sender could not say so any more', () => {
    expect(pushFigures([], { ...received, used: 2, ignored: 1 })).toMatchObject({ sent: 3, lost: 0 })
  })
})
