import { afterEach, expect, test, vi } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { Api } from '../../src/runtime/c-api/api.ts'
import { hostAsDevice } from '../../src/runtime/c-api/device.ts'
import { loadSpan } from '../../src/runtime/index.ts'
import { tiny, tinySpan, values } from './tiny-span.ts'

afterEach(() => vi.restoreAllMocks())

test.each([
  ['runs bind their inputs each time', false],
  ['runs are replayed', true]
])('of two devices in one process, each waits for its own where %s', async (_, replays) => {
  // Of the thread, as CUDA has one.
  let current: string | undefined
  const waits: (string | undefined)[] = []
  const call = Api.prototype.call
  vi.spyOn(Api.prototype, 'call').mockImplementation(function (this: Api, ...args) {
    if (args[0] === 'SynchronizeBoundInputs') waits.push(current)
    return call.apply(this, args)
  })
  const sizes = { slots: 2, maxLength: tiny.maxLength, threads: 1, logger: silentLogger }
  const load = (name: string) => {
    const enter = (): void => {
      current = name
    }
    return loadSpan(tinySpan(), { ...sizes, device: { ...hostAsDevice(replays), name, enter } })
  }
  const spans = { a: await load('a'), b: await load('b') }
  const output = new Float32Array(tiny.hidden)
  for (const position of [0, 1]) {
    for (const [name, span] of Object.entries(spans)) {
      waits.length = 0
      await span.decode([{ slot: 0, position, input: values(tiny.hidden, 1), output }])
      expect(new Set(waits)).toEqual(new Set([name]))
    }
  }
  for (const [name, span] of Object.entries(spans)) {
    const state = await span.save(0)
    waits.length = 0
    await span.load(1, state)
    expect(new Set(waits)).toEqual(new Set([name]))
    await span.close()
  }
})
