import { randomInt } from 'node:crypto'
import { UsageError } from '../base/index.ts'

/** How the next token is chosen from the logits. Names and meaning as in Hugging Face transformers. */
export interface SamplingSettings {
  /** Divides the logits; 0 is greedy. @default 0 */
  temperature?: number
  /** Keeps the likeliest tokens whose probabilities reach this sum, 0 to 1. @default 1 */
  topP?: number
  /** Keeps this many likeliest tokens, and those as likely as the last of them; 0 keeps all. @default 0 */
  topK?: number
  /** Makes tokens that the history holds less likely (above 1) or likelier (below 1). @default 1 */
  repetitionPenalty?: number
  /** Integer from 0 to 2^53 - 1; the same seed and logits give the same tokens. @default drawn at random */
  seed?: number
}

export type ResolvedSampling = Readonly<Required<SamplingSettings>>

/** Fills in defaults and draws a seed where none is given. @throws UsageError naming the setting and its value */
export function resolveSampling(settings: SamplingSettings): ResolvedSampling {
  const { temperature = 0, topP = 1, topK = 0, repetitionPenalty = 1, seed = randomInt(2 ** 32) } = settings
  const finite = (value: number) => Number.isFinite(value)
  demand('temperature', temperature, finite(temperature) && temperature >= 0, '0 (greedy) or more')
  demand('top-p', topP, topP >= 0 && topP <= 1, 'from 0 to 1')
  demand('top-k', topK, Number.isSafeInteger(topK) && topK >= 0, 'a whole number, 0 (off) or more')
  demand('repetition penalty', repetitionPenalty, finite(repetitionPenalty) && repetitionPenalty > 0, 'above 0')
  demand('seed', seed, Number.isSafeInteger(seed) && seed >= 0, 'a whole number from 0 to 2^53 - 1')
  return { temperature, topP, topK, repetitionPenalty, seed }
}

function demand(setting: string, value: number, holds: boolean, range: string): void {
  if (!holds) throw new UsageError(`${setting} is ${value}: give a number ${range}`, { details: { setting, value } })
}
