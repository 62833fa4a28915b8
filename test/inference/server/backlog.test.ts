import { describe, expect, it } from 'vitest'
import { HostParking } from '../../../src/session/index.ts'
import { Bench, type Node, openOf, type Owner, settle } from './bench.ts'
import { expectedOutput, statesOf } from './fake-runner.ts'

/** The runner of these tests has two rows. */
const id = (number: number) => new Uint8Array(16).fill(number)
const places = (owner: Owner) => owner.all('queued').map(({ place }) => place)

async function waiting(bench: Bench, node: Node, peerId: string, priority = 0): Promise<Owner> {
  const owner = bench.owner(node, peerId)
  owner.send({ kind: 'open', value: openOf(node, { priority }) })
  await settle()
  return owner
}

describe('a session in the backlog', () => {
  it('hears where it stands every few seconds, until it has a row', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const first = await bench.session(node, { id: id(1) })
    await bench.session(node, { id: id(2) })
    const [second, third] = [await waiting(bench, node, 'b'), await waiting(bench, node, 'c')]
    expect([places(second), places(third)]).toEqual([[1], [2]])
    for (let told = 0; told < 2; told++) {
      bench.clock.advance(3_000)
      await settle()
    }
    expect([places(second), places(third)]).toEqual([
      [1, 1, 1],
      [2, 2, 2]
    ])
    first.send({ kind: 'close', value: {} })
    await settle()
    bench.clock.advance(3_000)
    await settle()
    expect(second.all('opened')).toHaveLength(1)
    expect([places(second), places(third)]).toEqual([
      [1, 1, 1],
      [2, 2, 2, 1]
    ])
  })

  it('ends when its deadline is over', async () => {
    const bench = new Bench()
    const node = await bench.node('server', [0, 4], { init: { backlog: { limit: 1, deadlineMs: 5_000 } } })
    for (const number of [1, 2]) await bench.session(node, { id: id(number) })
    const late = await waiting(bench, node, 'b')
    const refused = await waiting(bench, node, 'c')
    expect(refused.codes).toEqual(['BUSY'])
    bench.clock.advance(5_000)
    await settle()
    expect(late.last('terminated').reason).toBe('DEADLINE')
  })
})

describe('the priority that a client claims', () => {
  it.each([
    { name: 'a stranger only lowers its own', trustPriorities: false, ends: [0, 0] },
    { name: 'one of our own may push others out', trustPriorities: true, ends: [1, 0] }
  ])('$name', async ({ trustPriorities, ends }) => {
    const bench = new Bench()
    const node = await bench.node('server', [0, 4], { init: { trustPriorities } })
    const owners = [await bench.session(node, { id: id(1) }), await bench.session(node, { id: id(2) })]
    await waiting(bench, node, 'b', 1_000_000)
    expect(owners.map(owner => owner.all('terminated').length)).toEqual(ends)
  })

  it('behind others, when it is below theirs', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    for (const number of [1, 2]) await bench.session(node, { id: id(number) })
    const modest = await waiting(bench, node, 'b', -1)
    const usual = await waiting(bench, node, 'c')
    expect([places(modest), places(usual)]).toEqual([[1], [1]])
    bench.clock.advance(3_000)
    await settle()
    expect([places(modest), places(usual)]).toEqual([
      [1, 2],
      [1, 1]
    ])
  })
})

it('more sessions than rows take turns, and each goes on where it was', async () => {
  const bench = new Bench()
  const parking = await HostParking.open({ memoryBytes: 1024 * 1024 })
  const node = await bench.node('server', [0, 4], { parking, init: { maxSessions: 3 } })
  const owners: Owner[] = []
  for (const number of [1, 2, 3]) {
    const owner = bench.owner(node)
    owners.push(owner)
    owner.send({ kind: 'open', value: openOf(node, { id: id(number) }) })
    await settle()
    bench.clock.advance(1_001)
    await settle()
    expect(owner.all('opened'), `session ${number}`).toHaveLength(1)
    owner.step({ step: 0, position: 0 }, statesOf(number))
    await settle()
  }
  expect(node.server.table.statistics().parkings).toBe(1)
  for (const [i, owner] of owners.entries()) {
    bench.clock.advance(1_001)
    owner.step({ step: 1, position: 1 }, statesOf(10))
    await settle()
    const whole = expectedOutput(statesOf(i + 1, 10))
    const answers = owner.told.filter(({ kind }) => kind === 'output').map(({ tensor }) => tensor)
    expect(Buffer.concat(answers.map(tensor => tensor ?? new Uint8Array()))).toEqual(Buffer.from(whole))
  }
  expect(node.server.table.statistics().unparkings).toBeGreaterThan(0)
})
