import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Effect } from '../../../src/inference/race/race-types.ts'
import { Race } from '../../../src/inference/race/race.ts'
import type { StepHeader, StepRecord } from '../../../src/inference/race/step-record.ts'
import { demand } from './model-server.ts'

// An owner and an upstream that say anything at all, in any order: numbers that make no sense, replays, steps again, words
// that contradict each other, receipts that turn out to be forged, another upstream, an owner that was away. What a server
// owes itself holds all the same: memory is bounded and given back once, the row has one run at a time, and what is
// committed is what was computed, on what the owner said.

const MAX_TENTATIVE = 2
const MAX_OUTSTANDING = 4
const MAX_LENGTH = 8
const MAX_HELD_BYTES = 3

interface Input {
  readonly bytes: string
  drops: number
}

type Event =
  | { kind: 'step'; header: Header; bytes: string | null }
  | { kind: 'announce'; header: Header }
  | { kind: 'copy'; header: Header; bytes: string }
  | { kind: 'push'; header: Header; bytes: string }
  | { kind: 'verify'; header: Header; bytes: string }
  | { kind: 'rewind'; epoch: number; length: number; upstreamChanged: boolean }
  | { kind: 'forged'; push: number }
  | { kind: 'run ends'; completed: boolean }
  | { kind: 'wait'; ms: number }
  | { kind: 'upstream gone' | 'owner back' }

const small = (max: number): fc.Arbitrary<number> => fc.nat({ max })
const bytes = fc.constantFrom('a', 'a', 'a', 'b')
/** The epoch is the session's, and a higher one in a rewind. */
const SENSIBLE = -1
const epoch = fc.oneof({ weight: 6, arbitrary: fc.constant(SENSIBLE) }, { weight: 1, arbitrary: small(3) })
const any = fc.record({
  epoch,
  step: small(4),
  position: small(MAX_LENGTH),
  n: small(3),
  want: small(2),
  replay: fc.boolean(),
  like: fc.constantFrom('nothing' as const)
})
/** As the step that comes next, or as one that was asked for: so many before it. */
const sensible = fc.record({
  epoch: fc.constant(SENSIBLE),
  step: small(2),
  position: fc.constant(0),
  n: fc.constantFrom(1, 1, 2),
  want: small(2),
  replay: fc.constantFrom(false, false, false, false, true),
  like: fc.constantFrom('next' as const, 'known' as const)
})
type Header = StepHeader & { readonly like: 'nothing' | 'next' | 'known' }
const header: fc.Arbitrary<Header> = fc.oneof({ weight: 6, arbitrary: sensible }, { weight: 1, arbitrary: any })
const anyEvent: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('step' as const), header, bytes: fc.option(bytes, { nil: null }) })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('announce' as const), header }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('copy' as const), header, bytes }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('push' as const), header, bytes }) },
  {
    weight: 4,
    arbitrary: fc.record({ kind: fc.constant('verify' as const), header, bytes })
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('rewind' as const),
      epoch,
      length: small(MAX_LENGTH),
      upstreamChanged: fc.boolean()
    })
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('forged' as const), push: small(12) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('run ends' as const),
      completed: fc.constantFrom(true, true, true, false)
    })
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.constantFrom(0, 50, 1000, 2000) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('upstream gone' as const, 'owner back' as const) }) }
)

/** A race over a row as a server has one, held to what it owes whatever it is told. */
class Hosted {
  readonly race: Race<Input>
  readonly inputs: Input[] = []
  readonly #receipts: { statement: Uint8Array; signature: Uint8Array }[] = []
  readonly #trustPushes: boolean
  /** One entry a token: the bytes of its step. */
  readonly row: string[] = []
  readonly #computed = new Set<StepRecord<Input>>()
  /** What the owner said of the input of steps, by epoch and step, and of copies by their position. */
  readonly #said = new Map<string, Set<string>>()
  readonly #committed: string[] = []
  #running: StepRecord<Input> | null = null
  #stopped = false
  /** A receipt is being found to be forged. */
  #forging = false
  #now = 1000

  constructor(trustPushes: boolean) {
    this.#trustPushes = trustPushes
    this.race = new Race({
      maxLength: MAX_LENGTH,
      maxTentative: MAX_TENTATIVE,
      maxOutstanding: MAX_OUTSTANDING,
      maxHeldBytes: MAX_HELD_BYTES,
      trustPushes
    })
  }

  happen(event: Event): void {
    this.#forging = event.kind === 'forged'
    const epochBefore = this.race.epoch
    this.#carryOut(this.#tell(event))
    if (event.kind === 'rewind' && event.upstreamChanged && this.race.epoch > epochBefore)
      demand(this.#state.held.length === 0, () => 'nothing of a former upstream is kept')
    this.#check()
  }

  get #state() {
    return this.race.state as {
      records: StepRecord<Input>[]
      held: { push: { bytes: number } }[]
      committed: number
    }
  }

  end(): void {
    this.#carryOut(this.race.onClose())
    if (this.#running !== null) this.#carryOut(this.#runEnds(false))
    for (const { drops } of this.inputs) demand(drops === 1, () => 'every input is given back once')
  }

  #tell(event: Event): readonly Effect<Input>[] {
    const { race } = this
    const now = this.#now
    switch (event.kind) {
      case 'step': {
        const at = this.#resolve(event.header)
        if (event.bytes === null) return race.onStep(at, false, now)
        this.#carryOut(race.onStep(at, true, now))
        return this.#copy(at, event.bytes)
      }
      case 'announce':
        return race.onStep(this.#resolve(event.header), true, now)
      case 'copy':
        return this.#copy(this.#resolve(event.header), event.bytes)
      case 'push': {
        const receipt = { statement: Buffer.from(event.bytes), signature: Buffer.alloc(1) }
        this.#receipts.push(receipt)
        return race.onPush({ ...this.#resolve(event.header), ...this.#arrival(event.bytes), receipt }, now)
      }
      case 'verify': {
        const { epoch: of, step } = this.#resolve(event.header)
        this.#says(`${of}/${step}`, event.bytes)
        return race.onVerify(of, step, digestOf(event.bytes), now)
      }
      case 'rewind':
        return (
          race.onRewind(event.epoch === SENSIBLE ? race.epoch + 1 : event.epoch, event.length, event.upstreamChanged) ??
          []
        )
      case 'forged': {
        const receipt = this.#receipts[event.push]
        return receipt === undefined ? [] : race.onForgedReceipt(receipt)
      }
      case 'run ends':
        return this.#runEnds(event.completed)
      case 'wait': {
        this.#now += event.ms
        const { deadline } = race
        return deadline !== null && deadline <= this.#now ? race.onTimer(this.#now) : []
      }
      case 'upstream gone':
        return race.onUpstreamGone(now)
      case 'owner back':
        return race.onOwnerBack(now)
    }
  }

  #resolve({ like, ...header }: Header): StepHeader {
    const { epoch, nextStep } = this.race
    const { records, committed } = this.#state
    const at = { ...header, epoch: header.epoch === SENSIBLE ? epoch : header.epoch }
    const known = records.at(-1 - header.step)
    if (like === 'known' && known !== undefined)
      return { ...at, step: known.step, position: known.position, n: known.n }
    const last = records.at(-1)
    const end = last === undefined ? committed : last.position + last.n
    return like === 'nothing' ? at : { ...at, step: nextStep, position: end }
  }

  #copy(at: StepHeader, word: string): readonly Effect<Input>[] {
    this.#says(at.replay ? `${at.epoch} at ${at.position}` : `${at.epoch}/${at.step}`, word)
    return this.race.onCopy(at, this.#arrival(word), this.#now)
  }

  #arrival(word: string) {
    const input = { bytes: word, drops: 0 }
    this.inputs.push(input)
    return { digest: digestOf(word), input, bytes: 1 }
  }

  #says(key: string, word: string): void {
    this.#said.set(key, (this.#said.get(key) ?? new Set()).add(word))
  }

  /** A run may have ended well before the word to stop it came. */
  #runEnds(completed: boolean): readonly Effect<Input>[] {
    const record = this.#running
    if (record === null) return []
    // A run that fails of itself ends the session.
    const well = completed || !this.#stopped
    if (well) for (let token = 0; token < record.n; token++) this.row.push(record.input?.bytes ?? 'nothing')
    this.#running = null
    this.#stopped = false
    return this.race.onRunEnded(well)
  }

  #carryOut(effects: readonly Effect<Input>[]): void {
    for (const effect of effects) {
      if (effect.kind === 'run') {
        demand(this.#running === null, () => 'one run at a time')
        demand(this.row.length === effect.record.position, () => 'a run begins where the row ends')
        demand(!this.#computed.has(effect.record), () => 'no step is computed twice')
        this.#computed.add(effect.record)
        this.#running = effect.record
      } else if (effect.kind === 'terminate') {
        demand(this.#running !== null, () => 'only a run is stopped')
        this.#stopped = true
      } else if (effect.kind === 'truncate') {
        demand(this.#running === null, () => 'no row is cut in a run')
        this.row.length = Math.min(this.row.length, effect.length)
      } else if (effect.kind === 'mismatch') {
        const { epoch, step, owner } = effect
        const word = Buffer.from(owner).toString().replace(/\.+$/, '')
        const ofStep = ([key]: [string, unknown]): boolean =>
          key === `${epoch}/${step}` || key.startsWith(`${epoch} at `)
        const isSaid = [...this.#said].filter(ofStep).some(([, words]) => words.has(word))
        if (owner.length > 0) demand(isSaid, () => 'only the owner can say that a push is wrong')
        else demand(this.#forging, () => 'or that it is forged')
      } else if (effect.kind === 'drop') {
        demand(++effect.input.drops === 1, () => 'no input is given back twice')
        demand(this.#running?.input !== effect.input, () => 'nor while it is in a run')
      }
    }
  }

  #check(): void {
    const { lengths, deadline } = this.race
    const { records, held } = this.#state
    demand(lengths.committed <= lengths.length, () => 'no more is committed than there is')
    demand(lengths.length <= MAX_LENGTH, () => 'the session has its length')
    if (this.#running === null) demand(this.row.length === lengths.length, () => 'the row holds what it says')
    demand(records.length <= 2 * MAX_TENTATIVE + MAX_OUTSTANDING, () => 'steps that are kept')
    const tentative = records.filter(({ phase, committed }) => phase === 'done' && !committed)
    demand(tentative.length <= MAX_TENTATIVE, () => 'computed and not committed')
    demand(held.length <= Math.min(MAX_TENTATIVE, MAX_HELD_BYTES), () => 'pushes that are held')
    if (deadline !== null) demand(deadline > 0, () => 'time is set')
    const undropped = this.inputs.filter(({ drops }) => drops === 0).length
    demand(undropped <= MAX_OUTSTANDING + MAX_TENTATIVE + 1, () => 'inputs that are kept')
    this.#checkCommitted(records, lengths.committed)
  }

  /** What is committed stays as it is, or is cut; and is what the owner said, or was allowed to be pushed. */
  #checkCommitted(records: readonly StepRecord<Input>[], committed: number): void {
    this.#committed.length = Math.min(this.#committed.length, committed)
    const isKept = this.#committed.every((bytes, position) => this.row[position] === bytes)
    demand(isKept, () => 'what is committed does not change')
    this.#committed.push(...this.row.slice(this.#committed.length, committed))
    for (const { epoch, step, position, replay, committed: isCommitted } of records) {
      if (!isCommitted || this.#trustPushes) continue
      const said = this.#said.get(replay ? `${epoch} at ${position}` : `${epoch}/${step}`)
      demand(said?.has(this.row[position] ?? '') === true, () => `step ${step} at ${position} is the owner's`)
    }
  }
}

const digestOf = (word: string): Uint8Array => Buffer.from(word.padEnd(32, '.'))

it('whatever an owner and an upstream say, a server keeps within its memory and commits only what the owner said', () => {
  const seen = { committed: 0, mismatched: 0, used: 0, late: 0, ignored: 0 }
  fc.assert(
    fc.property(fc.boolean(), fc.array(anyEvent, { minLength: 10, maxLength: 80, size: 'max' }), (trust, events) => {
      const hosted = new Hosted(trust)
      for (const event of events) hosted.happen(event)
      const { pushes, lengths } = hosted.race
      seen.committed += lengths.committed
      for (const kind of ['mismatched', 'used', 'late', 'ignored'] as const) seen[kind] += pushes[kind]
      hosted.end()
    }),
    { numRuns: 400 }
  )
  expect(
    Object.values(seen).every(count => count > 0),
    `all of it happened: ${JSON.stringify(seen)}`
  ).toBe(true)
})
