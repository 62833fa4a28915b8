import { expect, test } from 'vitest'
import type { Binding } from '../../src/runtime/binding.ts'
import { hostAsDevice, hostDevice } from '../../src/runtime/c-api/device.ts'
import { type Environment, openEnvironment } from '../../src/runtime/c-api/environment.ts'
import { CApiGraph } from '../../src/runtime/c-api/graph.ts'
import { createSession } from '../../src/runtime/c-api/session.ts'
import { type DeviceLostError, RuntimeRunError } from '../../src/runtime/errors.ts'
import { SlabRunner } from '../../src/runtime/span-runner.ts'
import { tiny, tinySpan, values } from './tiny-span.ts'

/**
 * An environment whose next runs go wrong, as many as `failing` says, whichever session they are of; and whose device has
 * done what a run had queued, when somebody waits for it, once `done` is.
 */
async function faulty() {
  const environment = await openEnvironment()
  const state = { failing: 0, running: 0, most: 0, done: Promise.resolve(), waited: () => undefined as void }
  const begin = (): void => {
    if (state.failing-- > 0) throw new RuntimeRunError('ONNX Runtime: CUDA failure 700')
    state.most = Math.max(state.most, state.running + 1)
  }
  const run = async (work: () => unknown): Promise<void> => {
    begin()
    state.running++
    try {
      await work()
    } finally {
      state.running--
    }
  }
  const api = new Proxy(environment.api, {
    get(target, key) {
      const member: unknown = Reflect.get(target, key)
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        const call = () => Reflect.apply(member, target, args) as unknown
        if (key === 'callAsync' && args[0] === 'SynchronizeBoundInputs') {
          state.waited()
          return state.done.then(call)
        }
        if (args[0] !== 'RunWithBinding') return call()
        if (key === 'callAsync') return run(call)
        begin()
        return call()
      }
    }
  })
  return { environment: { ...environment, api } satisfies Environment, state }
}

type Faulty = Awaited<ReturnType<typeof faulty>>

async function load(device = hostAsDevice(), within?: Faulty) {
  const { environment, state } = within ?? (await faulty())
  const binding: Binding = {
    name: 'c-api',
    device: device.name,
    version: '',
    library: '',
    load: async plan => CApiGraph.over(await createSession(environment, plan, device), environment, plan, device)
  }
  const runtime = { device: device.name, binding: 'c-api', reason: '', version: '', library: '' } as const
  const lost: DeviceLostError[] = []
  const runner = await SlabRunner.load(binding, runtime, tinySpan(), {
    slots: 2,
    maxLength: tiny.maxLength,
    chunkTokens: 4,
    threads: 1,
    onLost: error => lost.push(error)
  })
  const decode = (slot = 0) => {
    const input = values(tiny.hidden, 1)
    return runner.decode([{ slot, position: runner.length(slot), input, output: new Float32Array(tiny.hidden) }])
  }
  return { runner, state, lost, decode }
}

test('after a failed run on a device that still works the next one is as good as ever', async () => {
  const { runner, state, lost, decode } = await load()
  state.failing = 1
  await expect(decode()).rejects.toMatchObject({ code: 'RUNTIME_RUN' })
  await decode()
  expect(lost).toEqual([])
  expect(runner.length(0)).toBe(1)
  await runner.close()
})

test('a device that does nothing any more is told, and no later run reaches it', async () => {
  const { runner, state, lost, decode } = await load()
  await decode()
  state.failing = Infinity
  const gone = { code: 'DEVICE_LOST', message: expect.stringContaining('CUDA failure 700') as string }
  await expect(decode()).rejects.toMatchObject(gone)
  state.failing = 0
  await expect(decode()).rejects.toMatchObject(gone)
  expect(new Set(lost).size).toBe(1)
  expect(runner.length(0)).toBe(1)
  await runner.close()
})

test('a run that failed is over when the device is done with what it had queued', async () => {
  const { runner, state, decode } = await load()
  let done: () => void = () => undefined
  state.done = new Promise(resolve => (done = resolve))
  const waited = new Promise<string>(resolve => (state.waited = () => resolve('waited for')))
  state.failing = 1
  const over = decode(0).catch((error: unknown) => (error as { code: string }).code)
  expect(await Promise.race([waited, over])).toBe('waited for')
  await expect(decode(1)).rejects.toMatchObject({ code: 'RUNNER_BUSY' })
  done()
  expect(await over).toBe('RUNTIME_RUN')
  await decode(1)
  expect([0, 1].map(slot => runner.length(slot))).toEqual([0, 1])
  await runner.close()
})

test("a failed run in the host's memory is no lost device", async () => {
  const { runner, state, lost, decode } = await load(hostDevice)
  state.failing = 2
  for (let i = 0; i < 2; i++) await expect(decode()).rejects.toMatchObject({ code: 'RUNTIME_RUN' })
  await decode()
  expect(lost).toEqual([])
  await runner.close()
})

test('where runs may be recorded, no copy goes beside one, nor another run', async () => {
  const shared = await faulty()
  const { runner, state, decode } = await load(hostAsDevice(true), shared)
  const other = await load(hostAsDevice(true), shared)
  await decode(1)
  expect((await runner.save(1)).byteLength).toBeGreaterThan(0)
  state.most = 0
  for (let i = 0; i < 4; i++) await Promise.all([decode(0), runner.save(1), other.decode(0)])
  expect(state.most).toBe(1)
  await Promise.all([runner.close(), other.runner.close()])
})
