import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { StepHeader, StepRecord } from '../../../src/inference/race/step-record.ts'
import { StepWindow } from '../../../src/inference/race/step-window.ts'

const headerOf = (step: number, more: Partial<StepHeader> = {}): StepHeader => ({
  epoch: 0,
  step,
  position: step,
  n: 1,
  want: 0,
  replay: false,
  ...more
})

const recordOf = (header: StepHeader): StepRecord<string> => ({
  ...header,
  phase: 'ready',
  source: 'push',
  digest: null,
  input: null,
  proof: null,
  receipt: null,
  committed: false,
  late: false,
  requestedAt: 0,
  pushArrivedAt: 0,
  copyArrivedAt: 0,
  verifiedAt: null,
  needCopyAt: null
})

const windowOf = (init: Partial<ConstructorParameters<typeof StepWindow>[0]> = {}): StepWindow<string> =>
  new StepWindow({ maxLength: 100, maxTentative: 2, maxOutstanding: 4, ...init })

const proven = (record: StepRecord<string>): boolean => record.proof !== null

describe('the steps of an epoch', () => {
  it('begin where so many tokens are committed, with number 0', () => {
    const steps = windowOf()
    steps.begin(7)
    expect([steps.committed, steps.nextStep]).toEqual([7, 0])
    expect(steps.problemWith(headerOf(0, { position: 7 }))).toBeNull()
    expect(steps.problemWith(headerOf(0, { position: 8 }))?.[0]).toBe('GAP')
    expect(steps.problemWith(headerOf(0, { position: 6 }))?.[0]).toBe('BEHIND')
  })

  it('tell replays from steps, and replays by their positions', () => {
    const steps = windowOf()
    for (const position of [0, 1]) steps.add(recordOf(headerOf(0, { position, replay: true })))
    steps.add(recordOf(headerOf(0, { position: 2 })))
    expect(steps.find(headerOf(0, { position: 1, replay: true }))?.position).toBe(1)
    expect(steps.find(headerOf(0, { position: 2, replay: true }))).toBeUndefined()
    expect(steps.numbered(0)?.position).toBe(2)
    expect(steps.problemWith(headerOf(1, { position: 3, replay: true }))?.[0]).toBe('BAD_STEP')
  })

  it('are refused beyond what may be unanswered, until one is computed', () => {
    const steps = windowOf({ maxOutstanding: 2 })
    for (const step of [0, 1]) steps.add(recordOf(headerOf(step)))
    expect(steps.problemWith(headerOf(2))?.[0]).toBe('FLOW')
    steps.computed()
    expect(steps.problemWith(headerOf(2))).toBeNull()
  })

  it('commit in order what is computed and proven, keep the last few, and never run too far ahead', () => {
    const maxTentative = 3
    const happens = fc.array(fc.constantFrom('add', 'compute', 'prove'), { maxLength: 60 })
    fc.assert(
      fc.property(happens, fc.infiniteStream(fc.nat({ max: 20 })), (events, picks) => {
        const steps = windowOf({ maxTentative, maxOutstanding: 60 })
        const all: StepRecord<string>[] = []
        let computed = 0
        for (const event of events) {
          if (event === 'add') {
            all.push(recordOf(headerOf(all.length)))
            steps.add(all.at(-1)!)
          } else if (event === 'prove') {
            const record = all[picks.next().value as number]
            if (record !== undefined) record.proof = new Uint8Array()
          } else if (steps.due !== undefined) {
            expect(steps.due).toBe(all[computed])
            computed++
            steps.computed()
          }
          steps.commit(proven)
          const committed = all.slice(0, computed).findIndex(record => !proven(record))
          expect(steps.committed).toBe(committed === -1 ? computed : committed)
          expect(all.map(record => record.committed)).toEqual(all.map((_, step) => step < steps.committed))
          expect(steps.records).toEqual(all.slice(Math.max(0, steps.committed - maxTentative)))
          expect(computed - steps.committed).toBeLessThanOrEqual(maxTentative)
        }
      })
    )
  })
})
