import { z } from 'zod'
import { ModelFileError } from '../errors.ts'
import { fit } from '../json.ts'
import type { PositionSpec, RotaryScaling } from '../spec.ts'

const defaultTheta = 10_000

const positive = z.number().positive().finite()

const parametersSchema = z.object({
  rope_type: z.string().nullish(),
  // The name that `rope_type` had before transformers 4.43; the hub still holds it.
  type: z.string().nullish(),
  rope_theta: positive.nullish(),
  partial_rotary_factor: positive.nullish()
})

/** The fields of `config.json` that rotary embeddings come from: transformers 5's form, then transformers 4's. */
export const rotaryFields = {
  rope_parameters: z.looseObject(parametersSchema.shape).nullish(),
  rope_scaling: z.looseObject(parametersSchema.shape).nullish(),
  rope_theta: positive.nullish()
}

export type RotaryConfig = z.infer<z.ZodObject<typeof rotaryFields>>

/** @throws ModelFileError MODEL_CONFIG for a scaling that is not known, naming it */
export function rotaryPositions(config: RotaryConfig, path: string): PositionSpec {
  const parameters = config.rope_parameters ?? config.rope_scaling ?? {}
  const share = parameters.partial_rotary_factor ?? 1
  if (share !== 1) throw refused(path, `partial_rotary_factor ${share}`, '1')
  return {
    kind: 'rotary',
    theta: parameters.rope_theta ?? config.rope_theta ?? defaultTheta,
    scaling: rotaryScaling(parameters, path)
  }
}

function rotaryScaling(parameters: z.infer<typeof parametersSchema>, path: string): RotaryScaling {
  const kind = parameters.rope_type ?? parameters.type ?? 'default'
  switch (kind) {
    case 'default':
      return { kind: 'none' }
    case 'linear':
      return { kind, factor: fit(parameters, linearSchema, path).factor }
    case 'llama3': {
      const found = fit(parameters, llama3Schema, path)
      return {
        kind,
        factor: found.factor,
        lowFrequencyFactor: found.low_freq_factor,
        highFrequencyFactor: found.high_freq_factor,
        originalLength: found.original_max_position_embeddings
      }
    }
    default:
      throw refused(path, `rope_type ${JSON.stringify(kind)}`, 'default, linear, llama3')
  }
}

const linearSchema = z.object({ factor: positive })

const llama3Schema = z
  .object({
    factor: positive,
    low_freq_factor: positive,
    high_freq_factor: positive,
    original_max_position_embeddings: positive
  })
  .refine(
    ({ low_freq_factor: low, high_freq_factor: high }) => low < high,
    'low_freq_factor is not below high_freq_factor'
  )

function refused(path: string, what: string, known: string): ModelFileError {
  return new ModelFileError('MODEL_CONFIG', `${path}: ${what} is not supported; known: ${known}`, { details: { path } })
}
