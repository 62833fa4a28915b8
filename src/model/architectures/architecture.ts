import type { Layers, Residual } from '../graph/layers.ts'
import type { TensorNeed } from '../needs.ts'
import type { ModelSpec } from '../spec.ts'

/**
 * One model family: what its `config.json` means, which tensors it has, and what a block computes. A new one is one
 * file beside `llama.ts` and a line in `index.ts`.
 */
export interface Architecture {
  /** Hugging Face's class, as `architectures` in `config.json` names it. */
  readonly name: string
  /** @throws ModelFileError MODEL_CONFIG, naming the field */
  spec(config: unknown, path: string): ModelSpec

  embedNeeds(spec: ModelSpec): readonly TensorNeed[]
  blockNeeds(spec: ModelSpec, block: number): readonly TensorNeed[]
  headNeeds(spec: ModelSpec): readonly TensorNeed[]
  /** The final norm's weight, which the model digest covers. */
  finalNorm(spec: ModelSpec): TensorNeed

  /** Token ids, int64 [tokens], to hidden states [tokens, hidden]. */
  embed(layers: Layers, spec: ModelSpec, ids: string): string
  /** One block over hidden states [batch, tokens, hidden]. */
  block(layers: Layers, spec: ModelSpec, block: number, hidden: Residual): Residual
  /** Hidden states [tokens, hidden] to logits [tokens, vocab]. */
  head(layers: Layers, spec: ModelSpec, hidden: string): string
}
