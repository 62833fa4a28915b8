import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ManualClock, silentLogger } from '../../../src/base/index.ts'
import { createLedger, createSpanLane, InferenceServer } from '../../../src/inference/index.ts'
import { loadSpan, type SpanRunner } from '../../../src/runtime/index.ts'
import { type BatchingPolicy, direct, HostParking, oldest } from '../../../src/session/index.ts'
import { createDigester, INFERENCE_PROTOCOL, toHex, Want } from '../../../src/wire/index.ts'
import { naiveSpan, tiny, tinySpan, values } from '../../runtime/tiny-span.ts'
import { Owner } from './bench.ts'
import { MemoryNetworks } from './memory-network.ts'

// Triton's random stress mix, in our words, over ONNX Runtime's own KV cache: sessions that come and go in every way and
// order, on rows that are used again and again, each give what they would have given alone on an empty one.

const SLOTS = 2
const SESSIONS = 3
const TOKENS = tiny.maxLength
const tolerance = 5e-6
const modelDigest = new Uint8Array(32).fill(7)
const digest = createDigester({ modelDigest, hiddenSize: tiny.hidden })
const init = {
  maxSessions: SESSIONS,
  idleLimitMs: 5_000,
  graceMs: 1_000,
  residenceMs: 200,
  backlog: { limit: 4, deadlineMs: 3_000 },
  kvBytesPerToken: 1
}

type Event =
  | { kind: 'open' | 'drainRuns' }
  | { kind: 'step' | 'end' | 'cancel' | 'cut' | 'resume' | 'replace'; who: number }
  | { kind: 'advance'; ms: number }

const who = fc.nat(11)
const event: fc.Arbitrary<Event> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Event>({ kind: 'open' }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('step'), who }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('end', 'cancel', 'cut', 'replace'), who }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('resume'), who }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('advance'), ms: fc.constantFrom(50, 300, 1_100, 6_000) }) },
  { weight: 3, arbitrary: fc.constant<Event>({ kind: 'drainRuns' }) }
)

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const sign = (bytes: Uint8Array): Uint8Array => createHash('sha256').update(bytes).digest()

/** One client: its tokens are its own, and so must be its answers. */
class Client {
  readonly id: Uint8Array
  readonly inputs: Float32Array
  owner: Owner
  incarnation: Uint8Array | null = null
  sent = 0
  readonly answers = new Map<number, Float32Array>()

  constructor(number: number, owner: Owner) {
    this.id = new Uint8Array(16).fill(number + 1)
    this.inputs = values(TOKENS * tiny.hidden, number)
    this.owner = owner
  }

  /** Takes note of what the stream has told. */
  read(): void {
    for (const message of this.owner.told.splice(0)) {
      if (message.kind === 'opened') this.incarnation = message.value.incarnation
      if (message.kind === 'resumed') this.sent = message.value.nextStep
      if (message.kind === 'output' && message.tensor !== undefined)
        this.answers.set(message.value.position, new Float32Array(message.tensor.slice().buffer))
    }
  }

  step(): void {
    if (this.incarnation === null || this.sent >= TOKENS || this.owner.stream.ended) return
    const position = this.sent++
    const input = this.inputs.slice(position * tiny.hidden, (position + 1) * tiny.hidden)
    this.owner.step({ step: position, position, want: Want.tensor }, new Uint8Array(input.buffer))
  }
}

class World {
  readonly clock = new ManualClock(1_000)
  readonly networks = new MemoryNetworks()
  readonly clients: Client[] = []
  readonly hooks = new Map<string, string[]>()
  readonly lane
  readonly server: InferenceServer

  constructor(runner: SpanRunner, policy: BatchingPolicy, parking: HostParking) {
    const { clock } = this
    this.lane = createSpanLane({ clock, runner }, { policy })
    const told = (id: string, what: string): void => void this.hooks.set(id, [...(this.hooks.get(id) ?? []), what])
    this.server = new InferenceServer(
      {
        facts: { peerId: 'server', modelDigest, from: 0, to: 2, hiddenSize: tiny.hidden, maxLength: TOKENS },
        limits: { maxTentative: 4, creditSteps: 16, creditBytes: 1024 * 1024 },
        ...{ runner, lane: this.lane, digest, sign, clock, parking, verify: () => true, logger: silentLogger },
        ledger: createLedger(),
        network: this.networks.of('server'),
        hooks: {
          onStart: ({ incarnation }) => told(toHex(incarnation!), 'start'),
          onEvict: ({ incarnation }) => told(toHex(incarnation!), 'evict')
        }
      },
      init
    )
  }

  stream(): Owner {
    return new Owner(this.networks.open('owner', 'server', INFERENCE_PROTOCOL))
  }

  async apply(step: Event): Promise<void> {
    const client = 'who' in step ? this.clients[step.who % Math.max(1, this.clients.length)] : undefined
    switch (step.kind) {
      case 'open':
        this.#open(this.clients.length)
        break
      case 'replace':
        if (client !== undefined) this.#replace(client)
        break
      case 'step':
        client?.step()
        break
      case 'end':
        client?.owner.send({ kind: 'close', value: {} })
        break
      case 'cancel':
        if (client !== undefined) void this.server.endSession(toHex(client.id))
        break
      case 'cut':
        client?.owner.stream.abort(new Error('the connection is gone'))
        break
      case 'resume':
        if (client?.incarnation != null) this.#resume(client, client.incarnation)
        break
      case 'advance':
        this.clock.advance(step.ms)
        break
      case 'drainRuns':
        await this.idle()
    }
    for (let i = 0; i < 4; i++) await turn()
    for (const each of this.clients) each.read()
    this.#check()
  }

  /** Lets all end that waits for nothing but the device. */
  async idle(): Promise<void> {
    for (let quiet = 0; quiet < 30; quiet = this.lane.pending === 0 ? quiet + 1 : 0) await turn()
    for (const each of this.clients) each.read()
  }

  #open(number: number): void {
    const client = new Client(number, this.stream())
    this.clients.push(client)
    this.#ask(client, false)
  }

  #ask({ id, owner }: Client, replace: boolean): void {
    owner.send({ kind: 'open', value: { version: 1, modelDigest, from: 0, to: 2, id, replace } })
  }

  /** The same id anew: another session, from its first token. */
  #replace(before: Client): void {
    const client = new Client(this.clients.length, this.stream())
    Object.assign(client, { id: before.id })
    this.clients.push(client)
    this.#ask(client, true)
  }

  #resume(client: Client, incarnation: Uint8Array): void {
    client.owner = this.stream()
    client.owner.send({ kind: 'resume', value: { id: client.id, incarnation, epoch: 0, outputs: 0 } })
  }

  #check(): void {
    const slots = [...this.server.table.sessions].flatMap(({ row }) => row?.slot ?? [])
    expect(new Set(slots).size, 'a row has one owner').toBe(slots.length)
  }
}

const strategies: readonly (readonly [string, BatchingPolicy])[] = [
  ['direct', direct({ queueDelayMs: 0 })],
  ['oldest', oldest({ queueDelayMs: 0 })]
]

describe.each(strategies)('sessions on real rows, %s', (_, policy) => {
  let runner: SpanRunner
  beforeAll(async () => {
    const sizes = { slots: SLOTS, maxLength: TOKENS, chunkTokens: 4, threads: 1 }
    runner = await loadSpan(tinySpan(), { ...sizes, logger: silentLogger })
  })
  afterAll(() => runner.close())

  it('that come, go, are cut off, resumed, parked and cancelled in any order answer as on fresh ones', async () => {
    let answers = 0
    const seen = { parkings: 0, unparkings: 0, resumed: 0, DISCONNECT: 0, IDLE: 0, CANCEL: 0, SUPERSEDED: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(event, { minLength: 20, maxLength: 80, size: 'max' }), async events => {
        const world = new World(runner, policy, await HostParking.open({ memoryBytes: 1024 * 1024 }))
        await world.server.start()
        for (const step of events) await world.apply(step)
        await world.idle()
        await world.server.close()
        await world.idle()
        for (const { inputs, answers: given } of world.clients) {
          if (given.size === 0) continue
          const alone = naiveSpan(inputs.slice(0, (Math.max(...given.keys()) + 1) * tiny.hidden))
          for (const [position, output] of given) {
            answers++
            const expected = alone.slice(position * tiny.hidden, (position + 1) * tiny.hidden)
            const difference = output.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i]!)), 0)
            expect(difference, `token ${position}`).toBeLessThanOrEqual(tolerance)
          }
        }
        for (const told of world.hooks.values()) expect(told, 'each hook once').toEqual(['start', 'evict'])
        const { freeSlots, reservedBytes, lostRows, sessions, ended, ...counts } = world.server.table.statistics()
        for (const name of ['parkings', 'unparkings', 'resumed'] as const) seen[name] += counts[name]
        for (const reason of ['DISCONNECT', 'IDLE', 'CANCEL', 'SUPERSEDED'] as const) seen[reason] += ended[reason]
        expect({ freeSlots, reservedBytes, lostRows, sessions }).toEqual({
          ...{ freeSlots: SLOTS, reservedBytes: 0, lostRows: 0 },
          sessions: { queued: 0, active: 0, parked: 0, terminating: 0 }
        })
        for (let slot = 0; slot < SLOTS; slot++) expect(runner.length(slot), 'nothing is left in a row').toBe(0)
      }),
      { numRuns: 80 }
    )
    expect(
      Object.values(seen).every(count => count > 0),
      `all of it happened: ${JSON.stringify(seen)}`
    ).toBe(true)
    expect(answers, 'sessions answered at all').toBeGreaterThan(100)
  })
})
