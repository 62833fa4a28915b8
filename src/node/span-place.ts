import { UsageError } from '../base/index.ts'
import { type ComputeType, type Model, storedDtype } from '../model/index.ts'
import { type ChosenDevice, chooseDevice } from '../runtime/index.ts'
import type { ServeOptions } from './serve-options.ts'

/** Where a span computes, and in which type. */
export interface SpanPlace extends ChosenDevice {
  readonly compute: ComputeType
}

/** The first with bfloat16 (Ampere, CUDA's programming guide, "Compute Capabilities"). */
const BF16_CAPABILITY = 8

/**
 * Chooses the device, and the type that is right for it: ONNX Runtime computes in float32 on the processor; on CUDA its
 * GroupQueryAttention knows only the two types of 16 bits.
 *
 * @throws DeviceUnavailableError, RuntimeLoadError, UsageError for a type that the device does not compute in
 */
export async function spanPlace(
  model: Model,
  { device = 'auto', weights = 'auto', onnxruntime, cuda }: ServeOptions
): Promise<SpanPlace> {
  if (weights === 'f32' && device.startsWith('cuda'))
    throw new UsageError('--weights f32 is for the CPU: on CUDA give f16 or bf16, or auto')
  const halved = weights === 'f16' || weights === 'bf16'
  if (halved && device === 'cpu')
    throw new UsageError(`--weights ${weights} is for --device cuda: the CPU computes in f32, which auto takes there`)
  // Types leave `auto` no choice.
  const wish = device !== 'auto' || weights === 'auto' ? device : halved ? 'cuda' : 'cpu'
  const chosen = await chooseDevice({ device: wish, libraryFolder: onnxruntime, cuda })
  if (chosen.gpu === null) return { ...chosen, compute: 'f32' }
  const [capability] = chosen.gpu.computeCapability
  if (weights === 'bf16' && capability < BF16_CAPABILITY)
    throw new UsageError(`--weights bf16: ${chosen.gpu.name} computes in f16 only, which auto takes there`)
  const exact = storedDtype(model) === 'BF16' && capability >= BF16_CAPABILITY
  return { ...chosen, compute: weights === 'auto' || weights === 'f32' ? (exact ? 'bf16' : 'f16') : weights }
}
