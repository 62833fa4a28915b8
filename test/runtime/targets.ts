import { test } from 'vitest'
import type { ComputeType } from '../../src/model/index.ts'
import type { BindingName } from '../../src/runtime/binding.ts'
import { hostAsDevice } from '../../src/runtime/c-api/index.ts'
import { chooseDevice, type Device, DeviceUnavailableError, hostDevice } from '../../src/runtime/index.ts'
import { type Heads, wide } from './tiny-span.ts'

/** Where spans are held to the same promises. */
export interface Target {
  readonly name: string
  readonly binding: BindingName
  readonly device: Device
  readonly compute: ComputeType
  readonly libraryFolder?: string
  /** Of the tiny span. @default those of `tiny` */
  readonly heads?: Heads
}

const cApi = { binding: 'c-api', device: hostDevice, compute: 'f32' } as const

const onProcessor: readonly Target[] = [
  { ...cApi, name: 'the c-api binding' },
  { ...cApi, name: 'the c-api binding, with more heads', heads: wide },
  { ...cApi, name: 'the official binding', binding: 'official' },
  { ...cApi, name: "a device's memory, allocated on the processor", device: hostAsDevice() },
  { ...cApi, name: "a device's memory at addresses that never change", device: hostAsDevice(true) },
  // ONNX Runtime computes what the processor has no kernels for in float32, between casts. In bfloat16 it has none.
  { ...cApi, name: "a device's memory in f16", device: hostAsDevice(), compute: 'f16' }
]

/** On the first GPU, through the library that ANDTHEN_ONNXRUNTIME names; or why there is none. */
async function onGpu(): Promise<Target[] | string> {
  const libraryFolder = process.env['ANDTHEN_ONNXRUNTIME']
  const named = libraryFolder === undefined ? {} : { libraryFolder }
  const choose = (graph: boolean) => chooseDevice({ device: 'cuda:0', libraryFolder, cuda: { graph } })
  try {
    const [{ device, gpu }, captured] = [await choose(false), await choose(true)]
    const on = (compute: ComputeType): Target => ({ ...cApi, ...named, name: `CUDA in ${compute}`, device, compute })
    const types: ComputeType[] = (gpu?.computeCapability[0] ?? 0) < 8 ? ['f16'] : ['f16', 'bf16']
    const wider = (target: Target): Target => ({
      ...target,
      name: `${target.name}, with heads of ${String(wide.headDim)}`,
      heads: wide
    })
    const all = [...types.map(on), { ...on('f16'), name: 'captured CUDA graphs in f16', device: captured.device }]
    return [...all, ...all.map(wider)]
  } catch (error) {
    if (!(error instanceof DeviceUnavailableError)) throw error
    return error.message
  }
}

const gpu = await onGpu()
const gpuTargets = typeof gpu === 'string' ? [] : gpu

export const targets: readonly Target[] = [...onProcessor, ...gpuTargets]
/** For spans of models, whose heads are their own. */
export const halfPrecisionTargets: readonly Target[] = targets.filter(
  ({ compute, heads }) => compute !== 'f32' && heads === undefined
)

/** Shows among the tests that those of CUDA did not run here, and why. */
export function tellSkippedGpu(): void {
  if (typeof gpu !== 'string') return
  console.warn(`skipped on CUDA: ${gpu}`)
  test.skip(`on CUDA: ${gpu}`)
}
