import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Fault, type PassEffect, Passes } from '../../../src/inference/owner/index.ts'
import type { NotPushed, Output, VerifyPolicyName } from '../../../src/wire/index.ts'
import { createDigester, notPushedNames } from '../../../src/wire/index.ts'

const hiddenSize = 4
const rowBytes = hiddenSize * 4
const digest = createDigester({ modelDigest: new Uint8Array(32).fill(7), hiddenSize })
const key = (server: number): Uint8Array => new Uint8Array(16).fill(server + 1)
const none = new Uint8Array()

interface World {
  servers: number
  passes: number
  tokens: number
  /** Edges that are pushed, by the server they lead to; the first is false. */
  pushed: boolean[]
  verify: VerifyPolicyName
  idle: boolean
  /** Pushes that were never sent, as `server,step` of the sender. */
  unsent: ReadonlySet<string>
  /** Pushes that were sent and lost on the way. */
  lost: ReadonlySet<string>
  /** This server pushes something else than it tells the client, from this step on. */
  liar: { server: number; step: number } | null
}

/**
 * Servers that compute `output = input + 1 + server`, byte by byte, each in order of steps; what they say lies in a pool
 * of which the schedule takes the next at will.
 */
class Chain {
  readonly effects: PassEffect[] = []
  readonly passes: Passes
  readonly #world: World
  /** Inputs that each server was given by the one before, or by the client. */
  readonly #pushes: Map<number, Uint8Array>[]
  readonly #copies: Map<number, Uint8Array>[]
  readonly #asked: Set<number>[]
  readonly #done: number[]
  /** What is on its way to the client, from each server, in order: headers overtake tensors. */
  readonly #headers: { output: Output; tensor: Uint8Array | null }[][]
  readonly #tensors: { output: Output; tensor: Uint8Array }[][]
  readonly #needed = new Set<string>()

  constructor(world: World) {
    this.#world = world
    const each = <T>(make: () => T): T[] => Array.from({ length: world.servers }, make)
    this.#pushes = each(() => new Map())
    this.#copies = each(() => new Map())
    this.#asked = each(() => new Set())
    this.#done = each(() => 0)
    this.#headers = each(() => [])
    this.#tensors = each(() => [])
    this.passes = new Passes(
      { digest },
      {
        verify: world.verify,
        rowBytes,
        uplinkIdle: () => world.idle,
        servers: world.pushed.map((pushed, i) => ({
          peerId: `server${i}`,
          from: i,
          to: i + 1,
          pushKey: key(i),
          pushed
        }))
      }
    )
  }

  start(step: number): void {
    const { tokens, passes } = this.#world
    const want = step === passes - 1 ? 'last' : 'none'
    this.take(this.passes.start({ position: step * tokens, n: tokens, input: this.input(step), want }))
  }

  input(step: number): Uint8Array {
    return new Uint8Array(this.#world.tokens * rowBytes).fill(step * 16)
  }

  take(effects: PassEffect[]): void {
    for (const effect of effects) {
      this.effects.push(effect)
      if (effect.kind !== 'step') continue
      const { step } = effect.request
      this.#asked[effect.server]!.add(step)
      if (effect.bytes !== null && !this.#copies[effect.server]!.has(step))
        this.#copies[effect.server]!.set(step, effect.bytes)
    }
  }

  /** Everything that may happen next. */
  moves(): (() => void)[] {
    const moves: (() => void)[] = []
    for (let server = 0; server < this.#world.servers; server++) {
      const step = this.#done[server]!
      const usable = [this.#pushes[server]!.get(step), this.#copies[server]!.get(step)]
      for (const [i, input] of usable.entries())
        if (input !== undefined && this.#asked[server]!.has(step))
          moves.push(() => {
            if (this.#done[server] === step) this.#compute(server, step, input, i === 0)
          })
      const verified = this.effects.some(e => e.kind === 'verify' && e.server === server && e.step === step)
      if (verified && usable[0] === undefined && !this.#needed.has(`${server},${step}`))
        moves.push(() => {
          this.#needed.add(`${server},${step}`)
          this.take(this.passes.onNeedCopy(server, step))
        })
      if (this.#headers[server]!.length > 0) moves.push(() => this.#deliverHeader(server))
      if (this.#tensors[server]!.length > 0) moves.push(() => this.#deliverTensor(server))
    }
    return moves
  }

  #compute(server: number, step: number, input: Uint8Array, usedPush: boolean): void {
    const { tokens, servers, passes, pushed, liar, unsent, lost } = this.#world
    const position = step * tokens
    const output = input.map(byte => byte + 1 + server)
    const last = server === servers - 1
    const want = last ? (step === passes - 1 ? 'last' : 'none') : 'tensor'
    const sent = want === 'last' ? output.subarray(output.length - rowBytes) : output
    const rows = want === 'last' ? { position: position + tokens - 1, n: 1 } : { position, n: tokens }
    const isPushed = pushed[server + 1] === true && !unsent.has(`${server},${step}`)
    if (isPushed && !lost.has(`${server},${step}`)) {
      const lies = liar !== null && liar.server === server && step >= liar.step
      this.#pushes[server + 1]!.set(step, lies ? output.map(byte => byte ^ 0xff) : output)
    }
    const reason: NotPushed = isPushed ? 'PUSHED' : 'QUEUE_FULL'
    const header: Output = {
      epoch: 0,
      step,
      position,
      n: tokens,
      inputDigest: digest({ boundary: server, position, n: tokens }, input),
      outputDigest: digest({ boundary: server + 1, ...rows }, sent),
      lengths: { length: 0, committed: 0 },
      pushed: isPushed ? key(server + 1) : none,
      notPushed: notPushedNames.indexOf(reason),
      receipts: [],
      stamps: {} as Output['stamps'],
      replay: false,
      usedPush,
      pushes: { used: 0, late: 0, ignored: 0, mismatched: 0 },
      downstream: []
    }
    this.#done[server]!++
    this.#headers[server]!.push({ output: header, tensor: want === 'none' ? null : sent })
  }

  #deliverHeader(server: number): void {
    const { output, tensor } = this.#headers[server]!.shift()!
    if (tensor !== null) this.#tensors[server]!.push({ output, tensor })
    this.take(this.passes.onOutput(server, output, tensor?.length ?? 0))
  }

  #deliverTensor(server: number): void {
    const { output, tensor } = this.#tensors[server]!.shift()!
    this.take(this.passes.onTensor(server, output, tensor))
  }
}

/** Starts passes and lets things happen in the order that the schedule says, until nothing is left. */
function play(world: World, schedule: Iterator<number>): Chain {
  const chain = new Chain(world)
  let started = 0
  for (;;) {
    const moves = chain.moves()
    if (started < world.passes) moves.push(() => chain.start(started++))
    if (moves.length === 0) return chain
    moves[schedule.next().value % moves.length]!()
  }
}

const policies = ['auto', 'copy', 'digest', 'none'] as const
const schedules = fc.infiniteStream(fc.nat(1000))
const edges = fc.subarray(['0,0', '0,1', '1,0', '1,1']).map(names => new Set(names))

const honest = fc.record({
  servers: fc.constant(3),
  passes: fc.constant(2),
  tokens: fc.constantFrom(1, 3),
  pushed: fc.tuple(fc.constant(false), fc.boolean(), fc.boolean()).map(flags => [...flags]),
  verify: fc.constantFrom(...policies),
  idle: fc.boolean(),
  unsent: edges,
  liar: fc.constant(null)
})

function proofs(chain: Chain, server: number, step: number): PassEffect[] {
  return chain.effects.filter(
    e =>
      e.kind !== 'emit' &&
      e.kind !== 'retire' &&
      e.kind !== 'fault' &&
      e.server === server &&
      (e.kind === 'verify' ? e.step === step : e.bytes !== null && e.request.step === step)
  )
}

const kinds = (chain: Chain, kind: PassEffect['kind']): number[] =>
  chain.effects.flatMap(e => (e.kind === kind && 'step' in e ? [e.step] : []))

describe('passes through three servers, in every order of events', () => {
  test('are emitted and retired in order, each once, with the right result', () => {
    fc.assert(
      fc.property(honest, schedules, (world, schedule) => {
        const chain = play({ ...world, lost: new Set() }, schedule)
        expect(kinds(chain, 'emit')).toEqual([0, 1])
        expect(kinds(chain, 'retire')).toEqual([0, 1])
        const last = chain.effects.find(e => e.kind === 'emit' && e.step === 1)
        const row = chain
          .input(1)
          .subarray(0, rowBytes)
          .map(byte => byte + 1 + 2 + 3)
        expect(last).toMatchObject({ tensor: row })
        expect(chain.passes.waitingFor).toBeNull()
      }),
      { numRuns: 500 }
    )
  })

  test('prove each input once, and give bytes wherever nothing was pushed', () => {
    fc.assert(
      fc.property(honest, schedules, (world, schedule) => {
        const chain = play({ ...world, lost: new Set() }, schedule)
        for (const step of [0, 1]) {
          for (const server of [1, 2]) {
            const pushed = world.pushed[server] === true && !world.unsent.has(`${server - 1},${step}`)
            const found = proofs(chain, server, step).map(({ kind }) => kind)
            if (!pushed || world.verify === 'copy') expect(found).toEqual(['step'])
            else if (world.verify === 'none') expect(found).toEqual([])
            else if (world.verify === 'digest') expect(found).toEqual(['verify'])
            else expect(found).toEqual([world.idle ? 'step' : 'verify'])
          }
        }
      }),
      { numRuns: 500 }
    )
  })

  test('survive pushes that are lost: the client sends its copy when it is asked', () => {
    const world = honest.map(w => ({ ...w, pushed: [false, true, true], unsent: new Set<string>() }))
    const verifying = world.filter(({ verify }) => verify !== 'none')
    fc.assert(
      fc.property(verifying, edges, schedules, (known, lost, schedule) => {
        const chain = play({ ...known, lost }, schedule)
        expect(kinds(chain, 'emit')).toEqual([0, 1])
        for (const name of lost) {
          const [server, step] = name.split(',').map(Number)
          expect(proofs(chain, server! + 1, step!).at(-1)).toMatchObject({ kind: 'step' })
        }
      }),
      { numRuns: 500 }
    )
  })

  test('stop at a liar: nothing is proven or emitted beyond the break, and both ends are named', () => {
    const liars = fc.record({ server: fc.constantFrom(0, 1), step: fc.constantFrom(0, 1) })
    fc.assert(
      fc.property(honest, liars, schedules, (known, liar, schedule) => {
        const world = {
          ...known,
          pushed: [false, true, true],
          unsent: new Set<string>(),
          lost: new Set<string>(),
          liar
        }
        const chain = play(world, schedule)
        const fault = chain.effects.find(e => e.kind === 'fault')?.fault
        // A copy that the server used instead of the lie is an end that is good as well.
        if (fault === undefined) {
          expect(kinds(chain, 'emit')).toEqual([0, 1])
          return
        }
        expect(fault).toMatchObject({ kind: 'mismatch', upstream: liar.server, downstream: liar.server + 1 })
        const { step } = fault as Extract<Fault, { kind: 'mismatch' }>
        expect(step).toBeGreaterThanOrEqual(liar.step)
        for (let server = liar.server + 2; server < 3; server++) expect(proofs(chain, server, step)).toEqual([])
        if (world.verify !== 'none') expect(kinds(chain, 'emit').every(emitted => emitted < step)).toBe(true)
        // The server behind the break was told what it should have been pushed, so that it shows its receipt.
        expect(proofs(chain, liar.server + 1, step).length).toBeGreaterThan(0)
        expect(chain.effects.at(-1)).toMatchObject({ kind: 'fault' })
      }),
      { numRuns: 500 }
    )
  })
})

describe('a server that contradicts itself', () => {
  const world: World = {
    servers: 2,
    passes: 1,
    tokens: 2,
    pushed: [false, false],
    verify: 'auto',
    idle: true,
    unsent: new Set(),
    lost: new Set(),
    liar: null
  }
  const output: Output = {
    epoch: 0,
    step: 0,
    position: 0,
    n: 2,
    inputDigest: digest({ boundary: 0, position: 0, n: 2 }, new Uint8Array(2 * rowBytes)),
    outputDigest: digest({ boundary: 1, position: 0, n: 2 }, new Uint8Array(2 * rowBytes)),
    lengths: { length: 2, committed: 2 },
    pushed: none,
    notPushed: 1,
    receipts: [],
    stamps: {} as Output['stamps'],
    replay: false,
    usedPush: false,
    pushes: { used: 0, late: 0, ignored: 0, mismatched: 0 },
    downstream: []
  }
  const started = (): Chain => {
    const chain = new Chain(world)
    chain.start(0)
    return chain
  }
  const blamed = (effects: PassEffect[], server: number, text: RegExp): void => {
    expect(effects).toMatchObject([{ kind: 'fault', fault: { kind: 'server', server } }])
    const [effect] = effects
    expect(effect?.kind === 'fault' && effect.fault.kind === 'server' && effect.fault.error.message).toMatch(text)
  }

  test.each([
    ['another number of tokens', { ...output, n: 3 }, 2 * rowBytes, /3 tokens at 0, not 2 at 0/],
    ['another position', { ...output, position: 5 }, 2 * rowBytes, /2 tokens at 5/],
    ['too few bytes', output, rowBytes, /16 bytes, not 32/],
    ['another input than it was sent', { ...output, inputDigest: new Uint8Array(32) }, 2 * rowBytes, /another input/],
    [
      'a push where there was none',
      { ...output, inputDigest: new Uint8Array(32), usedPush: true },
      2 * rowBytes,
      /another input/
    ]
  ])('answers with %s: it is blamed', (_, wrong, bytes, text) => {
    blamed(started().passes.onOutput(0, wrong, bytes), 0, text)
  })

  test('sends other hidden states than its digest says: it is blamed, and nothing goes on to the next', () => {
    const { passes } = started()
    expect(passes.onOutput(0, output, 2 * rowBytes)).toEqual([])
    blamed(passes.onTensor(0, output, new Uint8Array(2 * rowBytes).fill(1)), 0, /other hidden states/)
    expect(passes.start({ position: 2, n: 1, input: new Uint8Array(rowBytes), want: 'last' })).toEqual([])
  })

  test('answers twice, or what was never asked: nothing changes', () => {
    const { passes } = started()
    passes.onOutput(0, output, 2 * rowBytes)
    expect(passes.onOutput(0, output, 2 * rowBytes)).toEqual([])
    expect(passes.onOutput(1, output, 2 * rowBytes)).toEqual([])
    expect(passes.onOutput(0, { ...output, step: 9 }, 2 * rowBytes)).toEqual([])
  })

  test('is named while it is waited for', () => {
    const { passes } = started()
    expect(passes.waitingFor).toEqual({ step: 0, server: 0, overtaken: false })
    passes.onOutput(0, output, 2 * rowBytes)
    expect(passes.waitingFor).toEqual({ step: 0, server: 1, overtaken: false })
  })
})
