import { z } from 'zod'
import { ModelFileError } from '../errors.ts'
import { fit } from '../json.ts'
import type { ModelSpec } from '../spec.ts'
import type { Architecture } from './architecture.ts'
import { llama } from './llama.ts'

export type { Architecture } from './architecture.ts'

const architectures: ReadonlyMap<string, Architecture> = new Map([llama].map(one => [one.name, one]))

/** Hugging Face's class names that this version computes. */
export const supportedArchitectures: readonly string[] = [...architectures.keys()]

const schema = z.object({
  architectures: z.array(z.string()).min(1),
  quantization_config: z.unknown().optional()
})

/** @throws ModelFileError MODEL_ARCHITECTURE for a model that is not supported, listing what is; MODEL_CONFIG */
export function specOf(config: unknown, path: string): ModelSpec {
  const { architectures: names, quantization_config: quantization } = fit(config, schema, path)
  const known = names.map(name => architectures.get(name)).find(found => found !== undefined)
  if (known === undefined) throw unsupported(names.join(', '), path)
  if (quantization != null) {
    throw new ModelFileError(
      'MODEL_CONFIG',
      `${path} describes quantized weights (quantization_config); take the checkpoint in bfloat16, float16 or float32`,
      { details: { path } }
    )
  }
  return known.spec(config, path)
}

export function architectureOf(spec: ModelSpec): Architecture {
  const found = architectures.get(spec.architecture)
  if (found === undefined) throw unsupported(spec.architecture, 'the spec')
  return found
}

function unsupported(name: string, path: string): ModelFileError {
  return new ModelFileError(
    'MODEL_ARCHITECTURE',
    `${path}: ${name} is not supported; this version computes ${supportedArchitectures.join(', ')}`,
    { details: { path, architecture: name, supported: supportedArchitectures } }
  )
}
