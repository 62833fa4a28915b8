/**
 * Model checking of the race: a client and three servers, messages that come in any order, pushes that are lost, come
 * twice or lie. Held at every moment, by `World`:
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
import { type Action, type Fate, fateKey, type Plan, World } from './race-model.ts'

const base: Plan = { steps: [2, 1], proof: 'digest', fates: new Map(), reorders: false, rewindTo: null }

/** What happens at the servers that are not watched: whatever can, at once; a timer only when nothing else is left. */
function unwatched(actions: readonly Action[], watched: number): number {
  const elsewhere = (action: Action): boolean => action.server !== watched && action.server >= 0
  const at = actions.findIndex(action => elsewhere(action) && action.name !== 'timer')
  if (at >= 0 || actions.some(action => !elsewhere(action))) return at
  return actions.findIndex(elsewhere)
}

/**
 * Plays every order in which the events at one server can happen, and returns how many there are. The others' events
 * happen as soon as they can: all that the watched server sees of their order is when their messages come to it, and
 * that is any time. So the three servers watched in turn see every order that there is.
 */
function allOrders(plan: Plan, watched: number): number {
  const left: number[][] = [[]]
  let count = 0
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const world = new World(plan)
    let at = 0
    for (let actions = world.actions(); actions.length > 0; actions = world.actions()) {
      let choice = unwatched(actions, watched)
      if (choice < 0) {
        const choices = [...actions.keys()].filter(i => actions[i]!.server === watched || actions[i]!.server < 0)
        // Beyond the path that is replayed, the first choice is taken and the others are left for later.
        if (at === path.length) {
          for (const other of choices.slice(1)) left.push([...path, other])
          path.push(choices[0]!)
        }
        choice = path[at++]!
      }
      actions[choice]!.happen()
    }
    world.finish()
    count++
  }
  return count
}

const fates = (...entries: [server: number, step: number, fate: Fate][]): Map<string, Fate> =>
  new Map(entries.map(([server, step, fate]) => [fateKey(server, step), fate]))

describe('every order of two steps through three servers', () => {
  const oneFault = ([0, 1] as const).flatMap(server =>
    ([0, 1] as const).flatMap(step => (['lost', 'twice', 'lie'] as const).map(fate => fates([server, step, fate])))
  )
  const named = (faults: Map<string, Fate>): string => [...faults].map(([at, fate]) => `push ${at}: ${fate}`).join(', ')
  it.each([
    { name: 'no fault', plan: base },
    { name: 'no fault, copies as proof', plan: { ...base, proof: 'copy' as const } },
    { name: 'pushes out of order', plan: { ...base, reorders: true } },
    {
      name: 'every push lost',
      plan: { ...base, fates: fates([0, 0, 'lost'], [0, 1, 'lost'], [1, 0, 'lost'], [1, 1, 'lost']) }
    },
    { name: 'a rewind to the start at any time', plan: { ...base, steps: [1], rewindTo: 0 } },
    ...oneFault.map(faults => ({ name: named(faults), plan: { ...base, fates: faults } }))
  ])('$name', ({ plan }) => {
    const orders = [0, 1, 2].map(watched => allOrders(plan, watched))
    expect(Math.min(...orders)).toBeGreaterThan(1)
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
        const world = new World(plan)
        let events = 0
        for (let actions = world.actions(); actions.length > 0; actions = world.actions()) {
          const choice = choices[events] ?? 0
          actions[choice % actions.length]!.happen()
          expect(++events, 'events until nothing can happen').toBeLessThan(2000)
        }
        world.finish()
      }),
      { numRuns: 300 }
    )
  })
})
