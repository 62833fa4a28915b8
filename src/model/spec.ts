/**
 * What a model computes, in the same words for every architecture, read from Hugging Face's `config.json`. Plain data:
 * it is hashed into the model digest, so a field that a later architecture needs is added as optional and stays absent
 * where it does not apply.
 */
export interface ModelSpec {
  /** Hugging Face's class, for example `LlamaForCausalLM`. */
  readonly architecture: string
  readonly blocks: number
  readonly hiddenSize: number
  readonly vocabSize: number
  /** Positions that the model was trained for, in tokens. */
  readonly maxLength: number
  readonly attention: AttentionSpec
  readonly positions: PositionSpec
  readonly mlp: MlpSpec
  readonly norm: NormSpec
  /** The head's matrix is the embedding's. */
  readonly tiedHead: boolean
}

/** Grouped-query attention; `kvHeads` equal to `heads` is multi-head attention. */
export interface AttentionSpec {
  readonly heads: number
  readonly kvHeads: number
  readonly headDim: number
  readonly queryKeyValueBias: boolean
  readonly outputBias: boolean
}

/** Rotary embedding of the first and second half of each head's dimensions (RoFormer, arXiv:2104.09864). */
export interface PositionSpec {
  readonly kind: 'rotary'
  readonly theta: number
  readonly scaling: RotaryScaling
}

/** How rotary frequencies are stretched beyond the length of pre-training (transformers, `modeling_rope_utils.py`). */
export type RotaryScaling =
  | { readonly kind: 'none' }
  | { readonly kind: 'linear'; readonly factor: number }
  | {
      readonly kind: 'llama3'
      readonly factor: number
      readonly lowFrequencyFactor: number
      readonly highFrequencyFactor: number
      /** Tokens of pre-training. */
      readonly originalLength: number
    }

/** `down(activation(gate(x)) * up(x))` (arXiv:2002.05202). */
interface MlpSpec {
  readonly kind: 'gated'
  readonly activation: 'silu'
  readonly size: number
  readonly bias: boolean
}

/** Root-mean-square norm (arXiv:1910.07467). */
export interface NormSpec {
  readonly kind: 'rms'
  readonly epsilon: number
}
