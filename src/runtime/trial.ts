import { buildTrialGraph, trialSize, trialWeight } from '../model/index.ts'
import type { Port } from './binding.ts'
import { type Device, openCApi } from './c-api/index.ts'
import { DeviceUnavailableError } from './errors.ts'

const tokens = 2

/**
 * Computes something small on a device, by the way that a span takes. A provider that loads may have no kernels for this
 * GPU: the packages of 1.30 have them for some compute capabilities, and nothing that the driver could compile for others.
 *
 * @throws RuntimeLoadError, RuntimeRunError, DeviceLostError with ONNX Runtime's reason; DeviceUnavailableError where the
 * result is wrong
 */
export async function tryDevice(device: Device, libraryFolder?: string): Promise<void> {
  const port = (name: string): Port => {
    return { name, type: 'float32', dimensions: ['tokens', trialSize], elements: tokens * trialSize }
  }
  const binding = await openCApi(libraryFolder, device)
  const graph = await binding.load({ graph: buildTrialGraph(), inputs: [port('x')], outputs: [port('y')], threads: 1 })
  try {
    const [x, y] = [new Float32Array(graph.memoryOf('x')), new Float32Array(graph.memoryOf('y'))]
    x.forEach((_, i) => {
      x[i] = (i % 7) - 3
    })
    await graph.run({ first: 0, rows: 1, tokens })
    const wrong = y.findIndex((value, i) => value !== expected(x, i))
    if (wrong === -1) return
    const message = `it computes ${y[wrong]} where ${expected(x, wrong)} is right`
    throw new DeviceUnavailableError(message, { details: { device: device.name } })
  } finally {
    await graph.close()
  }
}

function expected(x: Float32Array, at: number): number {
  const row = x.subarray(at - (at % trialSize)).subarray(0, trialSize)
  return row.reduce((sum, value, i) => sum + value * trialWeight(at % trialSize, i), 0)
}
