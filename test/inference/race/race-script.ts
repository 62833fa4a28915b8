import { expect } from 'vitest'
import type { Effect, PushArrival, RaceInit } from '../../../src/inference/race/race-types.ts'
import { Race } from '../../../src/inference/race/race.ts'
import type { StepHeader } from '../../../src/inference/race/step-record.ts'

/** Bytes as the tables name them; equal names are equal bytes. */
export type Bytes = string

const digestOf = (bytes: Bytes): Uint8Array => Buffer.from(bytes.padEnd(32, '.'))

export interface StepOptions {
  epoch?: number
  /** First token. @default the step's number: one token a step */
  position?: number
  /** @default 1 */
  n?: number
  replay?: boolean
}

export type Event = (script: RaceScript) => readonly Effect<string>[] | null

const headerOf = (step: number, { epoch = 0, position = step, n = 1, replay = false }: StepOptions): StepHeader => ({
  epoch,
  step,
  position,
  n,
  want: 0,
  replay
})

/** The owner names a step; its bytes come another way. */
export const asks =
  (step: number, options: StepOptions = {}): Event =>
  ({ race, now }) =>
    race.onStep(headerOf(step, options), false, now)

/** The header of a step whose bytes are still under way. */
export const announces =
  (step: number, options: StepOptions = {}): Event =>
  ({ race, now }) =>
    race.onStep(headerOf(step, options), true, now)

/** The owner's bytes, after their header. */
export const copies =
  (step: number, bytes: Bytes, options: StepOptions = {}): Event =>
  ({ race, now }) =>
    race.onCopy(headerOf(step, options), { digest: digestOf(bytes), input: `copy ${bytes}`, bytes: 4 }, now)

/** Header and bytes at once. */
export const sends =
  (step: number, bytes: Bytes, options: StepOptions = {}): Event =>
  script => [...announces(step, options)(script)!, ...copies(step, bytes, options)(script)!]

export const pushes =
  (step: number, bytes: Bytes, options: StepOptions & { size?: number } = {}): Event =>
  script => {
    const { epoch, position, n } = headerOf(step, options)
    const receipt = { statement: digestOf(bytes), signature: Buffer.of(script.receipts.length) }
    script.receipts.push(receipt)
    const push: PushArrival<string> = {
      epoch,
      step,
      position,
      n,
      receipt,
      digest: digestOf(bytes),
      input: `push ${bytes}`,
      bytes: options.size ?? 4
    }
    return script.race.onPush(push, script.now)
  }

export const verifies =
  (step: number, bytes: Bytes, epoch = 0): Event =>
  ({ race, now }) =>
    race.onVerify(epoch, step, digestOf(bytes), now)

/** The run in flight ends well, or as a run that was terminated or failed does. */
export const runs: Event = ({ race }) => race.onRunEnded(true)
export const stops: Event = ({ race }) => race.onRunEnded(false)

export const rewinds =
  (epoch: number, length: number, upstreamChanged = false): Event =>
  ({ race }) =>
    race.onRewind(epoch, length, upstreamChanged)

/** The push that came as number `count` (from 0) turns out to have a forged signature. */
export const forged =
  (count: number): Event =>
  ({ race, receipts }) =>
    race.onForgedReceipt(receipts[count]!)

export const upstreamGone: Event = ({ race, now }) => race.onUpstreamGone(now)
export const closes: Event = ({ race }) => race.onClose()

/** Time goes on by so many ms, and the timer rings when it is due. */
export const waits =
  (ms: number): Event =>
  script => {
    script.now += ms
    const { deadline } = script.race
    return deadline !== null && deadline <= script.now ? script.race.onTimer(script.now) : []
  }

export class RaceScript {
  readonly race: Race<string>
  readonly receipts: { statement: Uint8Array; signature: Uint8Array }[] = []
  now = 1000

  constructor(init: Partial<RaceInit> = {}) {
    this.race = new Race({ maxLength: 100, ...init })
  }

  /** What the race wants done, in words. */
  play(event: Event): string[] {
    const effects = event(this)
    return effects === null ? ['too late'] : effects.map(told)
  }
}

const shown = (digest: Uint8Array): string => Buffer.from(digest).toString().replace(/\.+$/, '')

function told(effect: Effect<string>): string {
  switch (effect.kind) {
    case 'run':
    case 'answer':
    case 'repeat': {
      const { replay, step, position, input, source } = effect.record
      const named = replay ? `replay ${position}` : String(step)
      return `${effect.kind} ${named}${effect.kind === 'run' ? ` on ${input ?? 'nothing'}` : ` from ${source ?? 'nothing'}`}`
    }
    case 'terminate':
      return 'terminate'
    case 'truncate':
      return `truncate to ${effect.length}`
    case 'need-copy':
      return `need copy ${effect.step}`
    case 'mismatch': {
      const { step, pushed, owner, receipt } = effect
      return `mismatch ${step}: ${shown(pushed)} is not ${shown(owner)}, receipt ${receipt === null ? 'none' : shown(receipt.statement)}`
    }
    case 'refuse':
      return `refuse ${effect.code}`
    case 'drop':
      return `drop ${effect.input}`
  }
}

/** A story of one session, and what it comes to. */
export interface RaceCase {
  name: string
  init?: Partial<RaceInit>
  /** What happens, and what the race wants done about it. */
  script: (readonly [event: Event, effects: readonly string[]])[]
  length: number
  committed: number
  pushes?: Partial<Record<'used' | 'late' | 'ignored' | 'mismatched', number>>
  ignored?: Record<string, number>
}

export function checkRace({ init, script, length, committed, pushes: counted = {}, ignored = {} }: RaceCase): void {
  const played = new RaceScript(init)
  for (const [i, [event, effects]] of script.entries()) expect(played.play(event), `event ${i}`).toEqual(effects)
  const { race } = played
  expect(race.lengths).toEqual({ length, committed })
  expect(race.pushes).toEqual({ used: 0, late: 0, ignored: 0, mismatched: 0, ...counted })
  expect(race.ignored).toEqual(ignored)
}
