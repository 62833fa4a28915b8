import { afterAll, beforeAll, expect, test } from 'vitest'
import { Copier } from '../../src/runtime/c-api/copier.ts'
import { hostAsDevice } from '../../src/runtime/c-api/device.ts'
import { type Environment, openEnvironment } from '../../src/runtime/c-api/environment.ts'

let environment: Environment
let copier: Copier

beforeAll(async () => {
  environment = await openEnvironment()
  copier = await Copier.open(environment, hostAsDevice())
})
afterAll(() => copier.close())

/** Memory of the host, filled with `value`. */
function bytes(length: number, value: number) {
  const array = new Uint8Array(new ArrayBuffer(length)).fill(value)
  return { array, place: { memory: environment.memory, pointer: environment.api.addressOf(array) } }
}

test.each([1, 64 * 1024, 64 * 1024 + 1, 3 * 2 ** 20])('copies %d bytes, and no more', async length => {
  const [from, to] = [bytes(length + 1, 7), bytes(length + 1, 1)]
  await copier.copy(from.place, to.place, length)
  expect(to.array.subarray(0, length).every(value => value === 7)).toBe(true)
  expect(to.array[length]).toBe(1)
})

test.each([5, 16 * 2 ** 20, 40 * 2 ** 20 + 3])('clears %d bytes, and no more', async length => {
  const { array, place } = bytes(length + 1, 255)
  await copier.clear(place, length)
  expect(array.findIndex(value => value !== 0)).toBe(length)
})

test('copies take their turns', async () => {
  const [one, two, three] = [bytes(2 ** 20, 1), bytes(2 ** 20, 2), bytes(2 ** 20, 3)]
  await Promise.all([copier.copy(one.place, two.place, 2 ** 20), copier.copy(two.place, three.place, 2 ** 20)])
  expect(three.array.every(value => value === 1)).toBe(true)
})

test('waits for the whole device only where what is copied comes from the host', async () => {
  const waits: unknown[] = []
  const api = new Proxy(environment.api, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        if (args[0] === 'SynchronizeBoundInputs') waits.push(args[1])
        return Reflect.apply(member, target, args) as unknown
      }
    }
  })
  const device = hostAsDevice()
  const watched = await Copier.open({ ...environment, api }, device)
  const memory = watched.residentMemory(device)
  const there = { memory, pointer: memory.allocate(8) }
  const [from, to] = [bytes(8, 7), bytes(8, 1)]
  await watched.copy(from.place, there, 8)
  expect(waits).toHaveLength(1)
  await watched.copy(there, to.place, 8)
  expect(waits).toHaveLength(1)
  expect([...to.array]).toEqual([...from.array])
  memory.free(there.pointer)
  memory.close()
  await watched.close()
})
