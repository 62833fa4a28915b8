import { expect, it } from 'vitest'
import { openModel } from '../../src/model/index.ts'
import { planServe, type ServeOptions } from '../../src/node/index.ts'
import { demandFit, planFor } from '../../src/node/plan.ts'
import { hostDevice } from '../../src/runtime/index.ts'

const model = 'models/tiny-shakespeare'
const MiB = 2 ** 20
const plan = (options: Partial<ServeOptions> = {}) =>
  planServe({ model, device: 'cpu', memory: 1024 * MiB, ...options })

it('slots, not sessions, take KV cache; parked sessions take what they are given', async () => {
  const [all, few] = [await plan({ maxSessions: 4 }), await plan({ maxSessions: 4, slots: 1, parkMemory: MiB })]
  expect([all.slots, few.slots, few.maxSessions]).toEqual([4, 1, 4])
  expect(few.memoryBytes.kv * 4).toBe(all.memoryBytes.kv)
  expect(few.memoryBytes).toMatchObject({ weights: all.memoryBytes.weights, parking: MiB })
  const { weights, kv, parking, base, needed } = few.memoryBytes
  expect(needed).toBe(weights + kv + parking + base)
})

it('says what fits, from the same first block', async () => {
  const whole = await plan()
  expect(whole).toMatchObject({ fits: true, blocks: [0, 12], largestFit: [0, 12] })
  const { base, needed } = whole.memoryBytes
  const half = await plan({ memory: base + Math.ceil((needed - base) / 2) })
  expect(half).toMatchObject({ fits: false, blocks: [0, 12], largestFit: [0, 6] })
  expect(await plan({ memory: base })).toMatchObject({ fits: false, largestFit: null })
})

it('no session is longer than the model knows positions', async () => {
  expect((await plan({ maxLength: 100_000 })).maxLength).toBe(512)
  await expect(plan({ blocks: { from: 0, to: 13 } })).rejects.toMatchObject({ code: 'BLOCKS' })
})

const gpu = { name: 'GPU', computeCapability: [9, 0], freeBytes: 2048 * MiB } as const
const onGpu = { device: { ...hostDevice, name: 'cuda:0' }, reason: 'asked for', gpu, compute: 'bf16' } as const

it('a GPU computes in its own memory, what is free of it, and parks sessions in that of the host', async () => {
  const [there, here] = [planFor(await openModel(model), { model, parkMemory: 8192 * MiB }, onGpu), await plan()]
  expect(there).toMatchObject({ device: 'cuda:0', weights: 'bf16', fits: true, memoryBytes: { available: 2048 * MiB } })
  const { weights, kv, base, needed } = there.memoryBytes
  expect(needed).toBe(weights + kv + base)
  expect(2 * kv).toBe(here.memoryBytes.kv)
})

it('weights, KV cache and runs fit into what is given to the GPU, or the refusal says so', async () => {
  const opened = await openModel(model)
  const { weights, kv } = planFor(opened, { model }, onGpu).memoryBytes
  const runs = 256 * MiB
  const within = (memoryLimit: number) => planFor(opened, { model, cuda: { memoryLimit } }, onGpu)
  expect(within(weights + kv + runs)).toMatchObject({ fits: true, memoryBytes: { arena: weights + kv + runs } })
  const half = within((weights + kv) / 2 + runs)
  expect(half).toMatchObject({ fits: false, largestFit: [0, 6] })
  expect(() => demandFit(half)).toThrow(
    /need 273 MiB of weights, KV cache and runs, for which --cuda-memory gives 265 MiB; blocks 0-6 do$/
  )
})

it('before flash attention a GPU has room for the keys and values that ONNX Runtime copies for each head', async () => {
  const opened = await openModel(model)
  const turing = { ...gpu, computeCapability: [7, 5] } as const
  const base = (place: typeof gpu | typeof turing) =>
    planFor(opened, { model, slots: 2, maxSessions: 2 }, { ...onGpu, gpu: place }).memoryBytes.base
  expect(base(turing) - base(gpu)).toBe(2 * 2 * 2 * 4 * 513 * 32)
})
