import { createHash } from 'node:crypto'
import { Race } from '../../src/inference/race.ts'
import type { Effect, StepHeader, StepRecord } from '../../src/inference/race-types.ts'

const SERVERS = 3

/** What becomes of a push on its way. */
export type Fate = 'arrives' | 'lost' | 'twice' | 'lie'
/** How the client proves what a later server was pushed. */
export type Proof = 'digest' | 'copy'

export interface Plan {
  /** Tokens of each step. */
  readonly steps: readonly number[]
  readonly proof: Proof
  /** Of the first epoch's push of a step by a server; those not named arrive. */
  readonly fates: ReadonlyMap<string, Fate>
  /** Push streams reorder whole messages, as short ones overtake long ones. */
  readonly reorders: boolean
  /** The client rewinds of its own accord to this many steps when it chooses to; null: never. */
  readonly rewindTo: number | null
}

export const fateKey = (server: number, step: number): string => `${server}/${step}`

/** Bytes of hidden states; `drops` counts how often the race gave them back. */
interface Input {
  readonly bytes: string
  drops: number
}

type ToServer =
  | { kind: 'step'; header: StepHeader; bytes: string | null }
  | { kind: 'verify'; epoch: number; step: number; digest: Uint8Array }
  | { kind: 'rewind'; epoch: number; length: number }

interface Pushed {
  readonly epoch: number
  readonly step: number
  readonly position: number
  readonly n: number
  readonly bytes: string
}

interface Server {
  readonly race: Race<Input>
  readonly fromClient: ToServer[]
  readonly fromUpstream: Pushed[]
  /** One entry a token: the bytes of its step. */
  kv: string[]
  running: StepRecord<Input> | null
  now: number
  readonly computed: Set<string>
  readonly answered: Set<string>
  /** Digests that the client has proven, by position, in the order sent. */
  readonly proven: Map<number, Set<string>>
}

/** Of the same few texts again and again: thousands of worlds are played. */
const hashes = new Map<string, string>()
function hash(text: string): string {
  const known = hashes.get(text) ?? createHash('sha256').update(text).digest('hex').slice(0, 16)
  hashes.set(text, known)
  return known
}
const digestOf = (bytes: string): Uint8Array => Buffer.from(bytes)
const equal = (a: Uint8Array, b: string): boolean => Buffer.from(a).toString() === b

/** A span's arithmetic: the output depends on the server and on all that its cache holds. */
const compute = (server: number, kv: readonly string[], input: string): string =>
  hash(`${server} ${kv.join(' ')} ${input}`)

/** What every server's cache holds after a run in which the client relays every input. */
function relayRun(steps: readonly number[]): string[][] {
  const caches: string[][] = Array.from({ length: SERVERS }, () => [])
  for (const [step, n] of steps.entries()) {
    let bytes = clientInput(step)
    for (const [i, kv] of caches.entries()) {
      const output = compute(i, kv, bytes)
      for (let token = 0; token < n; token++) kv.push(bytes)
      bytes = output
    }
  }
  return caches
}

const clientInput = (step: number): string => hash(`the client's input of step ${step}`)

/** One thing that may happen next, at one place. */
export interface Action {
  readonly server: number
  readonly name: string
  readonly happen: () => void
}

/** Broken promises are thrown, in words. */
class Broken extends Error {}

function demand(holds: boolean, promise: () => string): void {
  if (!holds) throw new Broken(promise())
}

/**
 * A client and three servers. Streams from the client keep their order; pushes come by another way; runs take their
 * time; timers ring when they like. What a server tells the client is there at once: its delay is that of the client's
 * next word.
 */
export class World {
  readonly servers: Server[]
  readonly #plan: Plan
  readonly #truth: string[][]
  readonly #inputs: Input[] = []
  #epoch = 0
  /** Steps of the plan that this epoch does not repeat. */
  #base = 0
  /** Output of (server, step) in this epoch, with what it was computed from. */
  #outputs = new Map<string, { input: string; output: string }>()
  #verified = new Set<string>()
  /** After a lie the client relays. */
  #relays = false
  #mayRewind: boolean
  #committed = Array.from({ length: SERVERS }, () => 0)

  constructor(plan: Plan) {
    this.#plan = plan
    this.#truth = relayRun(plan.steps)
    this.#mayRewind = plan.rewindTo !== null
    this.servers = Array.from({ length: SERVERS }, () => ({
      race: new Race<Input>({ maxLength: 100, maxTentative: 2 }),
      fromClient: [],
      fromUpstream: [],
      kv: [],
      running: null,
      now: 0,
      computed: new Set<string>(),
      answered: new Set<string>(),
      proven: new Map<number, Set<string>>()
    }))
    this.#askAll()
  }

  actions(): Action[] {
    const actions: Action[] = []
    for (const [i, server] of this.servers.entries()) {
      if (server.fromClient.length > 0)
        actions.push({ server: i, name: 'client', happen: () => this.#fromClient(i, server.fromClient.shift()!) })
      const pushes = this.#plan.reorders ? server.fromUpstream.length : Math.min(1, server.fromUpstream.length)
      for (let at = 0; at < pushes; at++)
        actions.push({
          server: i,
          name: `push ${at}`,
          happen: () => this.#fromUpstream(i, server.fromUpstream.splice(at, 1)[0]!)
        })
      if (server.running !== null) actions.push({ server: i, name: 'run', happen: () => this.#runEnds(i) })
      const { deadline } = server.race
      if (deadline !== null) actions.push({ server: i, name: 'timer', happen: () => this.#ring(i, deadline) })
    }
    if (this.#mayRewind)
      actions.push({ server: -1, name: 'rewind', happen: () => this.#rewind(this.#plan.rewindTo ?? 0) })
    return actions
  }

  /** When nothing can happen any more: all is committed, and after the end every input was given back once. */
  finish(): void {
    const total = this.#plan.steps.reduce((sum, n) => sum + n, 0)
    for (const [i, { race, kv }] of this.servers.entries()) {
      demand(
        race.lengths.committed === total,
        () => `server ${i} committed ${race.lengths.committed} of ${total} tokens in the end`
      )
      demand(kv.join() === this.#truth[i]!.join(), () => `server ${i} ends with another state than a relay run`)
    }
    for (const [i, { race }] of this.servers.entries()) this.#carryOut(i, race.onClose())
    for (const { bytes, drops } of this.#inputs)
      demand(drops === 1, () => `input ${bytes} was given back ${drops} times`)
  }

  #positionOf(step: number): number {
    return this.#plan.steps.slice(0, step).reduce((sum, n) => sum + n, 0)
  }

  /** The header of the plan's step in this epoch. */
  #headerOf(step: number): StepHeader {
    const position = this.#positionOf(step)
    return { epoch: this.#epoch, step: step - this.#base, position, n: this.#plan.steps[step]!, want: 0, replay: false }
  }

  #askAll(): void {
    for (let step = this.#base; step < this.#plan.steps.length; step++)
      for (let i = 0; i < SERVERS; i++) {
        const withBytes = i === 0
        if (withBytes) this.#prove(i, step, clientInput(step))
        if (withBytes || !this.#relays)
          this.#send(i, { kind: 'step', header: this.#headerOf(step), bytes: withBytes ? clientInput(step) : null })
      }
  }

  #send(server: number, message: ToServer): void {
    this.servers[server]!.fromClient.push(message)
  }

  #prove(server: number, step: number, bytes: string): void {
    const { proven } = this.servers[server]!
    const position = this.#positionOf(step)
    proven.set(position, (proven.get(position) ?? new Set()).add(bytes))
  }

  #fromClient(i: number, message: ToServer): void {
    const { race, now } = this.servers[i]!
    if (message.kind === 'rewind') this.#carryOut(i, race.onRewind(message.epoch, message.length) ?? [])
    else if (message.kind === 'verify')
      this.#carryOut(i, race.onVerify(message.epoch, message.step, message.digest, now))
    else {
      const { header, bytes } = message
      this.#carryOut(i, race.onStep(header, bytes !== null, now))
      if (bytes !== null)
        this.#carryOut(i, race.onCopy(header, { digest: digestOf(bytes), input: this.#input(bytes), bytes: 1 }, now))
    }
  }

  #fromUpstream(i: number, pushed: Pushed): void {
    const { race, now } = this.servers[i]!
    const { bytes } = pushed
    const receipt = { statement: new Uint8Array(), signature: new Uint8Array() }
    this.#carryOut(
      i,
      race.onPush({ ...pushed, receipt, digest: digestOf(bytes), input: this.#input(bytes), bytes: 1 }, now)
    )
  }

  #ring(i: number, deadline: number): void {
    const server = this.servers[i]!
    server.now = Math.max(server.now, deadline)
    this.#carryOut(i, server.race.onTimer(server.now))
  }

  #input(bytes: string): Input {
    const input = { bytes, drops: 0 }
    this.#inputs.push(input)
    return input
  }

  /** A run that was told to stop may have ended before: the cache has grown all the same. */
  #runEnds(i: number): void {
    const server = this.servers[i]!
    const record = server.running!
    const { bytes } = record.input!
    for (let token = 0; token < record.n; token++) server.kv.push(bytes)
    server.running = null
    this.#carryOut(i, server.race.onRunEnded(true))
  }

  #carryOut(i: number, effects: readonly Effect<Input>[]): void {
    for (const effect of effects) this.#one(i, effect)
    this.#checkCommitted(i)
  }

  #one(i: number, effect: Effect<Input>): void {
    const server = this.servers[i]!
    switch (effect.kind) {
      case 'run': {
        const { epoch, step, position } = effect.record
        demand(server.running === null, () => `server ${i} runs two steps at once`)
        demand(
          server.kv.length === position,
          () => `server ${i} runs position ${position} on a cache of ${server.kv.length}`
        )
        demand(
          !server.computed.has(`${epoch}/${step}`),
          () => `server ${i} computed step ${step} of epoch ${epoch} twice`
        )
        server.computed.add(`${epoch}/${step}`)
        server.running = effect.record
        return
      }
      case 'terminate':
        demand(server.running !== null, () => `server ${i} stops a run where there is none`)
        return
      case 'truncate':
        demand(server.running === null, () => `server ${i} cuts a row that is in a run`)
        demand(
          server.kv.length >= effect.length,
          () => `server ${i} cuts ${server.kv.length} tokens to ${effect.length}`
        )
        server.kv.length = effect.length
        return
      case 'answer':
        this.#answer(i, effect.record)
        return
      case 'need-copy':
        if (effect.epoch === this.#epoch) this.#serveCopy(i, effect.step + this.#base)
        return
      case 'mismatch':
        if (effect.epoch !== this.#epoch) return
        this.#relays = true
        this.#rewind(Math.min(...this.servers.map((_, j) => this.#stepsCommitted(j))))
        return
      case 'drop':
        effect.input.drops++
        demand(effect.input.drops === 1, () => `input ${effect.input.bytes} was given back twice`)
        demand(server.running?.input !== effect.input, () => `server ${i} gave back an input that is in a run`)
        return
      case 'refuse':
        throw new Broken(`server ${i} refused ${effect.code}: ${effect.message}`)
      case 'repeat':
        throw new Broken(`server ${i} repeats an answer that nobody asked for`)
    }
  }

  #answer(i: number, { epoch, step, position, n, digest }: StepRecord<Input>): void {
    const server = this.servers[i]!
    demand(!server.answered.has(`${epoch}/${step}`), () => `server ${i} answered step ${step} of epoch ${epoch} twice`)
    server.answered.add(`${epoch}/${step}`)
    const input = server.kv[position]!
    demand(digest !== null && equal(digest, input), () => `server ${i} computed on other bytes than it says`)
    const output = compute(i, server.kv.slice(0, position), input)
    if (i + 1 < SERVERS && !this.#relays) this.#push(i, { epoch, step, position, n, bytes: output })
    if (epoch !== this.#epoch) return
    this.#committed[i] = server.race.lengths.committed
    this.#outputs.set(fateKey(i, step + this.#base), { input, output })
    this.#verifyChained()
  }

  #push(i: number, pushed: Pushed): void {
    const fate = pushed.epoch > 0 ? 'arrives' : (this.#plan.fates.get(fateKey(i, pushed.step)) ?? 'arrives')
    const { fromUpstream } = this.servers[i + 1]!
    if (fate === 'lie') fromUpstream.push({ ...pushed, bytes: hash(`not ${pushed.bytes}`) })
    else if (fate !== 'lost') fromUpstream.push(pushed)
    if (fate === 'twice') fromUpstream.push(pushed)
  }

  /** Proves the input of server i + 1 where the digests chain from the client's own input to server i's output. */
  #verifyChained(): void {
    for (let step = this.#base; step < this.#plan.steps.length; step++) {
      let bytes = clientInput(step)
      for (let i = 0; i + 1 < SERVERS; i++) {
        const output = this.#outputs.get(fateKey(i, step))
        if (output?.input !== bytes) break
        bytes = output.output
        const key = fateKey(i + 1, step)
        if (this.#verified.has(key)) continue
        this.#verified.add(key)
        this.#prove(i + 1, step, bytes)
        const header = this.#headerOf(step)
        if (this.#relays || this.#plan.proof === 'copy') this.#send(i + 1, { kind: 'step', header, bytes })
        else this.#send(i + 1, { kind: 'verify', epoch: header.epoch, step: header.step, digest: digestOf(bytes) })
      }
    }
  }

  #serveCopy(i: number, step: number): void {
    const output = this.#outputs.get(fateKey(i - 1, step))
    demand(output !== undefined, () => `server ${i} asks for a copy that nobody has proven`)
    this.#send(i, { kind: 'step', header: this.#headerOf(step), bytes: output!.output })
  }

  #stepsCommitted(i: number): number {
    let steps = 0
    while (steps < this.#plan.steps.length && this.#positionOf(steps + 1) <= this.#committed[i]!) steps++
    return steps
  }

  /** Begins an epoch at so many steps, or at what every server is known to have committed where that is less. */
  #rewind(steps: number): void {
    this.#mayRewind = false
    this.#base = Math.min(steps, ...this.servers.map((_, i) => this.#stepsCommitted(i)))
    this.#epoch++
    this.#outputs = new Map()
    this.#verified = new Set()
    const length = this.#positionOf(this.#base)
    this.#committed = this.#committed.map(() => length)
    for (let i = 0; i < SERVERS; i++) this.#send(i, { kind: 'rewind', epoch: this.#epoch, length })
    this.#askAll()
  }

  #checkCommitted(i: number): void {
    const { race, kv, proven } = this.servers[i]!
    const { length, committed } = race.lengths
    demand(committed <= length, () => `server ${i} committed more than it has`)
    for (let step = 0; this.#positionOf(step) < committed; step++) {
      const position = this.#positionOf(step)
      const bytes = kv[position]!
      demand(proven.get(position)?.has(bytes) === true, () => `server ${i} committed what the client did not prove`)
      demand(bytes === this.#truth[i]![position], () => `server ${i} committed another input than a relay run`)
    }
  }
}
