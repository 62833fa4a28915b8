import { join } from 'node:path'
import { z } from 'zod'
import { readJson } from '../json.ts'

/** What a model's authors recommend for generation. */
export interface GenerationDefaults {
  /** Any of these ends the text. */
  readonly eosTokenIds: readonly number[]
  readonly bosTokenId?: number
  readonly sampling: SamplingDefaults
}

/** Absent fields are not recommended by the model. `temperature` 0 is greedy. */
export interface SamplingDefaults {
  readonly temperature?: number
  readonly topP?: number
  readonly topK?: number
  readonly repetitionPenalty?: number
}

const tokenId = z.number().int().nonnegative()

const schema = z.object({
  bos_token_id: tokenId.nullish(),
  eos_token_id: z.union([tokenId, z.array(tokenId)]).nullish(),
  do_sample: z.boolean().nullish(),
  temperature: z.number().nonnegative().nullish(),
  top_p: z.number().positive().max(1).nullish(),
  top_k: z.number().int().nonnegative().nullish(),
  repetition_penalty: z.number().positive().nullish()
})

/**
 * Reads `generation_config.json`; token ids that it lacks come from `config.json`, which held them first.
 *
 * @throws ModelFileError MODEL_CONFIG
 */
export async function readGeneration(folder: string, signal?: AbortSignal): Promise<GenerationDefaults> {
  const own = (await readJson(join(folder, 'generation_config.json'), schema, signal)) ?? {}
  const model = (await readJson(join(folder, 'config.json'), schema, signal)) ?? {}
  const eos = own.eos_token_id ?? model.eos_token_id ?? []
  const bos = own.bos_token_id ?? model.bos_token_id
  return {
    eosTokenIds: typeof eos === 'number' ? [eos] : eos,
    ...(bos == null ? {} : { bosTokenId: bos }),
    sampling: {
      // Without do_sample the other fields are what transformers ignores.
      temperature: own.do_sample === true ? (own.temperature ?? 1) : 0,
      ...(own.top_p == null ? {} : { topP: own.top_p }),
      ...(own.top_k == null ? {} : { topK: own.top_k }),
      ...(own.repetition_penalty == null ? {} : { repetitionPenalty: own.repetition_penalty })
    }
  }
}
