import type { StepHeader } from '../../../src/inference/race/step-record.ts'
import { type Bytes, compute, type Deed, demand, type Event, hash, ModelServer, type Pushed } from './model-server.ts'

const SERVERS = 3
const numbers = Array.from({ length: SERVERS }, (_, i) => i)

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

const clientInput = (step: number): Bytes => hash(`the client's input of step ${step}`)

/** What every server's cache holds after a run in which the client relays every input. */
function relayRun(steps: readonly number[]): Bytes[][] {
  const caches: Bytes[][] = numbers.map(() => [])
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

/** One server at one moment; whatever led there, it is the same moment. */
interface Moment {
  readonly id: number
  readonly server: number
  /** One way to get there. */
  readonly events: readonly Event[]
  readonly epoch: number
  readonly computes: boolean
  readonly waits: boolean
  readonly settled: number | null
  /** What follows, by the event: found out once. */
  readonly next: Map<string, readonly [Moment, readonly Deed[]]>
}

/** Numbers for values: equal ones, by what JSON says of them, have the same. Values never change, and are read once each. */
class Numbers {
  readonly #byText = new Map<string, number>()
  readonly #byValue = new WeakMap<object, number>()

  of(value: object, textOf: () => string = () => JSON.stringify(value)): number {
    const known = this.#byValue.get(value)
    if (known !== undefined) return known
    const text = textOf()
    const number = this.#byText.get(text) ?? this.#byText.size
    this.#byText.set(text, number)
    this.#byValue.set(value, number)
    return number
  }

  /** Of a list of values, most of which are in others, too. */
  ofList(values: readonly object[]): number {
    return this.of(values, () => `list ${values.map(value => this.of(value)).join()}`)
  }
}

const runEnds: Event = { kind: 'run ends' }
const timer: Event = { kind: 'timer' }
const close: Event = { kind: 'close' }

/** The servers of a plan: at each of their moments a race to which all that led there happens anew. */
class Servers {
  readonly #truth: readonly Bytes[][]
  readonly #moments = new Map<string, Moment>()
  readonly numbers = new Numbers()

  constructor(steps: readonly number[]) {
    this.#truth = relayRun(steps)
  }

  begin(number: number): Moment {
    return this.#momentOf(number, this.#server(number), [])
  }

  after(moment: Moment, event: Event): readonly [Moment, readonly Deed[]] {
    const key = event.kind === 'push' ? `push ${this.numbers.of(event.push)}` : String(this.numbers.of(event))
    const known = moment.next.get(key)
    if (known !== undefined) return known
    const server = this.#server(moment.server)
    for (const earlier of moment.events) server.happen(earlier)
    const deeds = server.happen(event)
    const found = [this.#momentOf(moment.server, server, [...moment.events, event]), deeds] as const
    moment.next.set(key, found)
    return found
  }

  #server(number: number): ModelServer {
    return new ModelServer(number, this.#truth[number] ?? [])
  }

  #momentOf(server: number, { key, epoch, computes, waits, settled }: ModelServer, events: readonly Event[]): Moment {
    const name = `${server} ${key}`
    const known = this.#moments.get(name)
    if (known !== undefined) return known
    const moment = { id: this.#moments.size, server, events, epoch, computes, waits, settled, next: new Map() }
    this.#moments.set(name, moment)
    return moment
  }
}

/** What the client knows and does. What a server tells it is there at once: its delay is that of the client's next word. */
interface Client {
  readonly epoch: number
  /** Steps of the plan that this epoch does not repeat. */
  readonly base: number
  /** Output of (server, step) in this epoch, with what it was computed from. */
  readonly outputs: Readonly<Record<string, { readonly input: Bytes; readonly output: Bytes }>>
  /** (server, step) whose input was proven to it in this epoch. */
  readonly verified: readonly string[]
  /** After a lie the client relays. */
  readonly relays: boolean
  readonly mayRewind: boolean
  /** Tokens, as each server said last. */
  readonly committed: readonly number[]
}

const beginning = ({ rewindTo }: Plan): Client => ({
  ...{ epoch: 0, base: 0, outputs: {}, verified: [], relays: false },
  ...{ mayRewind: rewindTo !== null, committed: numbers.map(() => 0) }
})

/** One thing that may happen next, at one place. */
export interface Action {
  readonly name: string
  /** The world after it; the one before stays as it is. @throws Broken */
  happen(): World
}

/**
 * A client and three servers at one moment. Streams from the client keep their order; pushes come by another way; runs
 * take their time; timers ring when they like, each server's in the order in which they fall due.
 */
export class World {
  readonly #plan: Plan
  readonly #servers: Servers
  #client: Client
  readonly #moments: Moment[]
  readonly #fromClient: (readonly Event[])[]
  readonly #fromUpstream: (readonly Pushed[])[]

  private constructor(of: World | null, plan: Plan) {
    this.#plan = plan
    this.#servers = of === null ? new Servers(plan.steps) : of.#servers
    this.#client = of === null ? beginning(plan) : of.#client
    this.#moments = of === null ? numbers.map(i => this.#servers.begin(i)) : [...of.#moments]
    this.#fromClient = of === null ? numbers.map(() => []) : [...of.#fromClient]
    this.#fromUpstream = of === null ? numbers.map(() => []) : [...of.#fromUpstream]
  }

  static begin(plan: Plan): World {
    const world = new World(null, plan)
    world.#askAll()
    return world
  }

  /** Worlds of one plan with equal keys have the same future. */
  get key(): string {
    // Short: there are hundreds of thousands.
    const { numbers } = this.#servers
    const lists = [...this.#fromClient, ...this.#fromUpstream].map(list => numbers.ofList(list))
    return [...this.#moments.map(({ id }) => id), ...lists, numbers.of(this.#client)].join()
  }

  actions(): Action[] {
    const actions: Action[] = []
    const then = (name: string, change: (world: World) => void): void => {
      actions.push({
        name,
        happen: () => {
          const world = new World(this, this.#plan)
          change(world)
          return world
        }
      })
    }
    for (const i of numbers) {
      const [moment, owner, upstream] = [this.#moments[i]!, this.#fromClient[i]!, this.#fromUpstream[i]!]
      const [first, ...rest] = owner
      if (first !== undefined)
        then(`client to ${i}`, world => {
          world.#fromClient[i] = rest
          world.#at(i, first)
        })
      for (const [at, push] of upstream.slice(0, this.#plan.reorders ? undefined : 1).entries())
        then(`push ${at} to ${i}`, world => {
          world.#fromUpstream[i] = upstream.toSpliced(at, 1)
          world.#at(i, { kind: 'push', push })
        })
      if (moment.computes) then(`run of ${i}`, world => world.#at(i, runEnds))
      if (moment.waits) then(`timer of ${i}`, world => world.#at(i, timer))
    }
    if (this.#client.mayRewind) then('rewind', world => world.#rewind(this.#plan.rewindTo ?? 0))
    return actions
  }

  /** When nothing can happen any more: all is committed, and after the end every input was given back once. */
  finish(): void {
    const total = this.#positionOf(this.#plan.steps.length)
    for (const moment of this.#moments) {
      const { server, settled } = moment
      demand(settled === total, () => `server ${server} has settled ${settled} of ${total} tokens in the end`)
      this.#servers.after(moment, close)
    }
  }

  #positionOf(step: number): number {
    return this.#plan.steps.slice(0, step).reduce((sum, n) => sum + n, 0)
  }

  /** The header of the plan's step in this epoch. */
  #headerOf(step: number): StepHeader {
    const { epoch, base } = this.#client
    return {
      epoch,
      step: step - base,
      position: this.#positionOf(step),
      n: this.#plan.steps[step]!,
      want: 0,
      replay: false
    }
  }

  #askAll(): void {
    for (let step = this.#client.base; step < this.#plan.steps.length; step++)
      for (const i of numbers)
        if (i === 0 || !this.#client.relays)
          this.#send(i, { kind: 'step', header: this.#headerOf(step), bytes: i === 0 ? clientInput(step) : null })
  }

  #send(server: number, event: Event): void {
    this.#fromClient[server] = [...this.#fromClient[server]!, event]
  }

  #at(i: number, event: Event): void {
    const [moment, deeds] = this.#servers.after(this.#moments[i]!, event)
    this.#moments[i] = moment
    this.#deliverStale(i)
    for (const deed of deeds) this.#hear(i, deed)
  }

  /** Pushes of epochs that are over change nothing whenever they come: they come at once, and not in every order. */
  #deliverStale(i: number): void {
    const { epoch } = this.#moments[i]!
    const pushes = this.#fromUpstream[i]!
    if (pushes.every(push => push.epoch >= epoch)) return
    this.#fromUpstream[i] = pushes.filter(push => push.epoch >= epoch)
    for (const push of pushes) if (push.epoch < epoch) this.#at(i, { kind: 'push', push })
  }

  #hear(i: number, deed: Deed): void {
    const { epoch, base, outputs, committed } = this.#client
    if (deed.kind === 'answer' && i + 1 < SERVERS && !this.#client.relays) this.#push(i, deed)
    if (deed.epoch !== epoch) return
    if (deed.kind === 'need copy') this.#serveCopy(i, deed.step + base)
    else if (deed.kind === 'mismatch') {
      this.#client = { ...this.#client, relays: true }
      this.#rewind(this.#plan.steps.length)
    } else {
      this.#client = {
        ...this.#client,
        outputs: { ...outputs, [fateKey(i, deed.step + base)]: { input: deed.input, output: deed.bytes } },
        committed: committed.with(i, deed.committed)
      }
      this.#verifyChained()
    }
  }

  #push(i: number, { epoch, step, position, n, bytes }: Pushed): void {
    const fate = epoch > 0 ? 'arrives' : (this.#plan.fates.get(fateKey(i, step)) ?? 'arrives')
    const push = { epoch, step, position, n, bytes: fate === 'lie' ? hash(`not ${bytes}`) : bytes }
    const copies = fate === 'lost' ? [] : fate === 'twice' ? [push, push] : [push]
    this.#fromUpstream[i + 1] = [...this.#fromUpstream[i + 1]!, ...copies]
  }

  /** Proves the input of server i + 1 where the digests chain from the client's own input to server i's output. */
  #verifyChained(): void {
    const { base, epoch, relays } = this.#client
    for (let step = base; step < this.#plan.steps.length; step++) {
      let bytes = clientInput(step)
      for (const i of numbers.slice(0, -1)) {
        const output = this.#client.outputs[fateKey(i, step)]
        if (output?.input !== bytes) break
        bytes = output.output
        const key = fateKey(i + 1, step)
        const { verified } = this.#client
        if (verified.includes(key)) continue
        this.#client = { ...this.#client, verified: [...verified, key].sort() }
        const header = this.#headerOf(step)
        if (relays || this.#plan.proof === 'copy') this.#send(i + 1, { kind: 'step', header, bytes })
        else this.#send(i + 1, { kind: 'verify', epoch, step: header.step, position: header.position, bytes })
      }
    }
  }

  #serveCopy(i: number, step: number): void {
    const output = this.#client.outputs[fateKey(i - 1, step)]
    demand(output !== undefined, () => `server ${i} asks for a copy that nobody has proven`)
    this.#send(i, { kind: 'step', header: this.#headerOf(step), bytes: output.output })
  }

  /** Begins an epoch at so many steps, or at what every server is known to have committed where that is less. */
  #rewind(steps: number): void {
    const least = Math.min(...this.#client.committed)
    let base = 0
    while (base < steps && base < this.#plan.steps.length && this.#positionOf(base + 1) <= least) base++
    const length = this.#positionOf(base)
    const { epoch, relays } = this.#client
    this.#client = {
      ...{ epoch: epoch + 1, base, outputs: {}, verified: [], relays },
      ...{ mayRewind: false, committed: numbers.map(() => length) }
    }
    for (const i of numbers) this.#send(i, { kind: 'rewind', epoch: epoch + 1, length })
    this.#askAll()
  }
}
