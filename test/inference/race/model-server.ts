import { createHash } from 'node:crypto'
import type { Effect } from '../../../src/inference/race/race-types.ts'
import { Race } from '../../../src/inference/race/race.ts'
import type { StepHeader, StepRecord } from '../../../src/inference/race/step-record.ts'

/** Bytes of hidden states as a word; equal words are equal bytes, and a word is its own digest. */
export type Bytes = string

export interface Pushed {
  readonly epoch: number
  readonly step: number
  readonly position: number
  readonly n: number
  readonly bytes: Bytes
}

/** What can happen to a server. */
export type Event =
  | { readonly kind: 'step'; readonly header: StepHeader; readonly bytes: Bytes | null }
  /** `position` is for the checks: it is where the step lies that the client means. */
  | {
      readonly kind: 'verify'
      readonly epoch: number
      readonly step: number
      readonly position: number
      readonly bytes: Bytes
    }
  | { readonly kind: 'rewind'; readonly epoch: number; readonly length: number }
  | { readonly kind: 'push'; readonly push: Pushed }
  | { readonly kind: 'run ends' }
  | { readonly kind: 'timer' }
  | { readonly kind: 'close' }

/** What a server does that others hear of. */
export type Deed =
  | (Pushed & { readonly kind: 'answer'; readonly input: Bytes; readonly committed: number })
  | { readonly kind: 'need copy'; readonly epoch: number; readonly step: number }
  | { readonly kind: 'mismatch'; readonly epoch: number }

/** Bytes that were handed to the race; `drops` counts how often it gave them back. */
interface Input {
  readonly bytes: Bytes
  drops: number
}

/** Broken promises are thrown, in words. */
class Broken extends Error {}

export function demand(holds: boolean, promise: () => string): asserts holds {
  if (!holds) throw new Broken(promise())
}

export const hash = (text: string): Bytes => createHash('sha256').update(text).digest('base64url').slice(0, 20)

/** A span's arithmetic: the output depends on the server and on all that its cache holds. */
export const compute = (server: number, kv: readonly Bytes[], input: Bytes): Bytes =>
  hash(`${server} ${kv.join(' ')} ${input}`)

/** Of a step, what only its answer tells. */
const stamps = new Set(['requestedAt', 'pushArrivedAt', 'copyArrivedAt', 'receipt'])

const isCommitted = (value: unknown): value is StepRecord<Input> =>
  typeof value === 'object' && value !== null && 'committed' in value && value.committed === true

const digestOf = (bytes: Bytes): Uint8Array => Buffer.from(bytes)

/** A race, and a cache as a server has one, held to every promise that can be seen at one server. */
export class ModelServer {
  readonly #number: number
  /** What its cache holds after a run in which the client relays every input. */
  readonly #truth: readonly Bytes[]
  readonly #race = new Race<Input>({ maxLength: 100, maxTentative: 2 })
  readonly #inputs: Input[] = []
  /** One entry a token: the bytes of its step. */
  readonly #kv: Bytes[] = []
  readonly #computed = new Set<string>()
  readonly #answered = new Set<string>()
  /** What the client has said of the input at each position. */
  readonly #proven = new Map<number, Set<Bytes>>()
  #running: StepRecord<Input> | null = null
  readonly #now = 0
  #deeds: Deed[] = []

  constructor(number: number, truth: readonly Bytes[]) {
    this.#number = number
    this.#truth = truth
  }

  /** Servers with equal keys have the same future. */
  get key(): string {
    const { epoch } = this.#race
    const current = (named: Set<string>): string[] => [...named].filter(name => name.startsWith(`${epoch}/`)).sort()
    const proven = [...this.#proven].map(([position, words]) => [position, [...words].sort()]).sort()
    const undropped = this.#inputs.filter(({ drops }) => drops === 0).length
    const own = [
      this.#kv,
      this.#running?.input?.bytes,
      current(this.#computed),
      current(this.#answered),
      proven,
      undropped
    ]
    return JSON.stringify([this.#race.state, own], (name, value: unknown) => {
      if (value instanceof Uint8Array) return Buffer.from(value).toString()
      if (isCommitted(value)) return [value.step, value.position, value.n, value.digest]
      return stamps.has(name) ? undefined : value
    })
  }

  get epoch(): number {
    return this.#race.epoch
  }

  get computes(): boolean {
    return this.#running !== null
  }

  get waits(): boolean {
    return this.#race.deadline !== null
  }

  /** Tokens committed, where the cache holds just these and they are those of a relay run; else null. */
  get settled(): number | null {
    const { committed } = this.#race.lengths
    return this.#kv.length === committed ? committed : null
  }

  /** Lets it happen. @throws Broken */
  happen(event: Event): readonly Deed[] {
    this.#deeds = []
    for (const effect of this.#tell(event)) this.#carryOut(effect)
    if (event.kind === 'step' && event.bytes !== null) {
      const copy = { digest: digestOf(event.bytes), input: this.#input(event.bytes), bytes: 1 }
      for (const effect of this.#race.onCopy(event.header, copy, this.#now)) this.#carryOut(effect)
    }
    if (event.kind === 'close') this.#checkInputs()
    else this.#checkCommitted()
    return this.#deeds
  }

  #tell(event: Event): readonly Effect<Input>[] {
    const race = this.#race
    switch (event.kind) {
      case 'step':
        if (event.bytes !== null) this.#prove(event.header.position, event.bytes)
        return race.onStep(event.header, event.bytes !== null, this.#now)
      case 'verify':
        this.#prove(event.position, event.bytes)
        return race.onVerify(event.epoch, event.step, digestOf(event.bytes), this.#now)
      case 'rewind':
        return race.onRewind(event.epoch, event.length) ?? []
      case 'push': {
        const { bytes } = event.push
        const receipt = { statement: new Uint8Array(), signature: new Uint8Array() }
        const arrival = { ...event.push, receipt, digest: digestOf(bytes), input: this.#input(bytes), bytes: 1 }
        return race.onPush(arrival, this.#now)
      }
      case 'run ends':
        return this.#runEnds()
      case 'timer':
        // Time stands still between timers: how late a push is decides nothing but when the next one rings.
        return race.onTimer(race.deadline ?? this.#now)
      case 'close':
        return race.onClose()
    }
  }

  #input(bytes: Bytes): Input {
    const input = { bytes, drops: 0 }
    this.#inputs.push(input)
    return input
  }

  #prove(position: number, bytes: Bytes): void {
    this.#proven.set(position, (this.#proven.get(position) ?? new Set()).add(bytes))
  }

  /** A run that was told to stop may have ended before: the cache has grown all the same. */
  #runEnds(): readonly Effect<Input>[] {
    const { n, input } = this.#running!
    for (let token = 0; token < n; token++) this.#kv.push(input!.bytes)
    this.#running = null
    return this.#race.onRunEnded(true)
  }

  #carryOut(effect: Effect<Input>): void {
    const name = `server ${this.#number}`
    switch (effect.kind) {
      case 'run': {
        const { epoch, step, position } = effect.record
        demand(epoch === this.#race.epoch, () => `${name} runs a step of epoch ${epoch} in epoch ${this.#race.epoch}`)
        demand(this.#running === null, () => `${name} runs two steps at once`)
        demand(this.#kv.length === position, () => `${name} runs ${position} on a cache of ${this.#kv.length}`)
        demand(!this.#computed.has(`${epoch}/${step}`), () => `${name} computed step ${step} of epoch ${epoch} twice`)
        this.#computed.add(`${epoch}/${step}`)
        this.#running = effect.record
        return
      }
      case 'terminate':
        demand(this.#running !== null, () => `${name} stops a run where there is none`)
        return
      case 'truncate':
        demand(this.#running === null, () => `${name} cuts a row that is in a run`)
        demand(this.#kv.length >= effect.length, () => `${name} cuts ${this.#kv.length} tokens to ${effect.length}`)
        this.#kv.length = effect.length
        return
      case 'answer':
        this.#answer(effect.record)
        return
      case 'need-copy':
        this.#deeds.push({ kind: 'need copy', epoch: effect.epoch, step: effect.step })
        return
      case 'mismatch':
        this.#deeds.push({ kind: 'mismatch', epoch: effect.epoch })
        return
      case 'drop':
        effect.input.drops++
        demand(effect.input.drops === 1, () => `input ${effect.input.bytes} was given back twice`)
        demand(this.#running?.input !== effect.input, () => `${name} gave back an input that is in a run`)
        return
      case 'refuse':
        throw new Broken(`${name} refused ${effect.code}: ${effect.message}`)
      case 'repeat':
        throw new Broken(`${name} repeats an answer that nobody asked for`)
    }
  }

  #answer({ epoch, step, position, n, digest }: StepRecord<Input>): void {
    const name = `server ${this.#number}`
    demand(!this.#answered.has(`${epoch}/${step}`), () => `${name} answered step ${step} of epoch ${epoch} twice`)
    this.#answered.add(`${epoch}/${step}`)
    const input = this.#kv[position]!
    const says = Buffer.from(digest ?? []).toString()
    demand(says === input, () => `${name} computed on other bytes than it says`)
    const bytes = compute(this.#number, this.#kv.slice(0, position), input)
    const { committed } = this.#race.lengths
    this.#deeds.push({ kind: 'answer', epoch, step, position, n, input, bytes, committed })
  }

  #checkCommitted(): void {
    const { length, committed } = this.#race.lengths
    const name = `server ${this.#number}`
    demand(committed <= length, () => `${name} committed more than it has`)
    for (let position = 0; position < committed; position++) {
      const bytes = this.#kv[position]!
      demand(bytes === this.#truth[position], () => `${name} committed another input than a relay run`)
      // Several tokens of one step have its bytes, and the client's word at its first position.
      const starts = position === 0 || this.#kv[position - 1] !== bytes
      demand(
        !starts || this.#proven.get(position)?.has(bytes) === true,
        () => `${name} committed what the client did not prove`
      )
    }
  }

  /** After the end every input was given back once, but for that of a run that goes on. */
  #checkInputs(): void {
    for (const input of this.#inputs)
      demand(
        input.drops === 1 || input === this.#running?.input,
        () => `input ${input.bytes} was given back ${input.drops} times`
      )
  }
}
