/**
 * Model checking of the race: a client and three servers, messages that come in any order, pushes that are lost, come
 * twice or lie, a client that rewinds. Held at every moment, by `World` and its `ModelServer`s:
 *
 *   1. what a server has committed is what the client has proven to it, byte for byte;
 *   2. no server computes or answers a step twice in one epoch;
 *   3. every server's committed state equals that of an undisturbed run in which the client relays every input;
 *   4. a row has one run at a time, starts where its cache ends, and is not cut during a run;
 *   5. every input handed in is given back exactly once;
 *
 * and when nothing can happen any more: all steps are committed on all servers.
 */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Fate, fateKey, type Plan, World } from './race-model.ts'

const base: Plan = { steps: [2, 1], proof: 'digest', fates: new Map(), reorders: false, rewindTo: null }

/**
 * Visits every world that can come of a plan, each once, however many orders of events lead there: all orders of all
 * three servers' events are among them.
 *
 * @returns how many worlds there are, and in how many of them nothing can happen any more
 */
function visitAll(plan: Plan): { worlds: number; ends: number } {
  const first = World.begin(plan)
  const seen = new Set([first.key])
  const left = [first]
  let ends = 0
  for (let world = left.pop(); world !== undefined; world = left.pop()) {
    const actions = world.actions()
    if (actions.length === 0) {
      world.finish()
      ends++
    }
    for (const action of actions) {
      const next = action.happen()
      const { key } = next
      if (!seen.has(key)) left.push(next)
      seen.add(key)
    }
  }
  return { worlds: seen.size, ends }
}

const fates = (...entries: [server: number, step: number, fate: Fate][]): Map<string, Fate> =>
  new Map(entries.map(([server, step, fate]) => [fateKey(server, step), fate]))

// Hundreds of thousands of worlds come of a rewind: on a busy machine they take their time.
describe('every order of two steps through three servers', { timeout: 240_000 }, () => {
  const oneFault = ([0, 1] as const).flatMap(server =>
    ([0, 1] as const).flatMap(step => (['lost', 'twice', 'lie'] as const).map(fate => fates([server, step, fate])))
  )
  const named = (faults: Map<string, Fate>): string => [...faults].map(([at, fate]) => `push ${at}: ${fate}`).join(', ')
  const copy = { ...base, proof: 'copy' as const }
  it.each([
    { name: 'no fault', plan: base },
    { name: 'no fault, copies as proof', plan: copy },
    { name: 'pushes out of order', plan: { ...base, reorders: true } },
    {
      name: 'every push lost',
      plan: { ...base, fates: fates([0, 0, 'lost'], [0, 1, 'lost'], [1, 0, 'lost'], [1, 1, 'lost']) }
    },
    { name: 'a rewind at any time', plan: { ...base, rewindTo: 0 } },
    { name: 'a rewind to the first step at any time, copies as proof', plan: { ...copy, rewindTo: 1 } },
    {
      name: 'a rewind of one step at any time, with a lie',
      plan: { ...base, steps: [1], rewindTo: 0, fates: fates([0, 0, 'lie']) }
    },
    ...oneFault.map(faults => ({ name: named(faults), plan: { ...base, fates: faults } })),
    ...oneFault.map(faults => ({ name: `${named(faults)}, copies as proof`, plan: { ...copy, fates: faults } }))
  ])('$name', ({ plan }) => {
    const { worlds, ends } = visitAll(plan)
    expect(worlds).toBeGreaterThan(100)
    expect(ends).toBeGreaterThan(0)
  })
})

describe('random orders', () => {
  const anyFates = fc
    .array(fc.tuple(fc.nat({ max: 1 }), fc.nat({ max: 3 }), fc.constantFrom<Fate>('lost', 'twice', 'lie')), {
      maxLength: 4
    })
    .map(entries => fates(...entries))
  const anyPlan: fc.Arbitrary<Plan> = fc.record({
    steps: fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 }),
    proof: fc.constantFrom('digest', 'copy'),
    fates: anyFates,
    reorders: fc.boolean(),
    rewindTo: fc.option(fc.nat({ max: 2 }), { nil: null })
  })

  it('of up to four steps with faults keep every promise', () => {
    fc.assert(
      fc.property(anyPlan, fc.array(fc.nat({ max: 30 }), { maxLength: 150 }), (plan, choices) => {
        let world = World.begin(plan)
        let events = 0
        for (let actions = world.actions(); actions.length > 0; actions = world.actions()) {
          const choice = choices[events] ?? 0
          world = actions[choice % actions.length]!.happen()
          expect(++events, 'events until nothing can happen').toBeLessThan(2000)
        }
        world.finish()
      }),
      { numRuns: 300 }
    )
  })
})
