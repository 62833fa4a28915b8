import { z } from 'zod'
import { rotaryFields, rotaryPositions } from '../config/rotary.ts'
import { ModelFileError } from '../errors.ts'
import { fit } from '../json.ts'
import type { LinearNeed, TensorNeed } from '../needs.ts'
import type { ModelSpec } from '../spec.ts'
import type { Architecture } from './architecture.ts'

const name = 'LlamaForCausalLM'

const size = z
  .number()
  .int()
  .positive()
  .max(2 ** 24)

// Defaults are those of transformers' LlamaConfig, which leaves them out of the file.
const configSchema = z.object({
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  vocab_size: size,
  max_position_embeddings: size.default(2048),
  rms_norm_eps: z.number().positive().default(1e-6),
  hidden_act: z.literal('silu').default('silu'),
  attention_bias: z.boolean().default(false),
  mlp_bias: z.boolean().default(false),
  tie_word_embeddings: z.boolean().default(false),
  ...rotaryFields
})

/** Llama 1 to 3 and what has its shape (transformers, `modeling_llama.py`). */
export const llama: Architecture = {
  name,

  spec(value, path) {
    const config = fit(value, configSchema, path)
    const heads = config.num_attention_heads
    const kvHeads = config.num_key_value_heads ?? heads
    const headDim = config.head_dim ?? config.hidden_size / heads
    if (heads % kvHeads !== 0) {
      throw unfit(path, `num_attention_heads ${heads} is not a multiple of num_key_value_heads ${kvHeads}`)
    }
    if (!Number.isInteger(headDim) || headDim % 2 !== 0) {
      throw unfit(
        path,
        `a head of ${headDim} dimensions (hidden_size / num_attention_heads) cannot be rotated: they must be even`
      )
    }
    return {
      architecture: name,
      blocks: config.num_hidden_layers,
      hiddenSize: config.hidden_size,
      vocabSize: config.vocab_size,
      maxLength: config.max_position_embeddings,
      attention: {
        heads,
        kvHeads,
        headDim,
        queryKeyValueBias: config.attention_bias,
        outputBias: config.attention_bias
      },
      positions: rotaryPositions(config, path),
      mlp: { kind: 'gated', activation: config.hidden_act, size: config.intermediate_size, bias: config.mlp_bias },
      norm: { kind: 'rms', epsilon: config.rms_norm_eps },
      tiedHead: config.tie_word_embeddings
    }
  },

  embedNeeds: spec => [embedding(spec)],
  blockNeeds: (spec, block) => tensorsOf(blockTensors(spec, block)),
  headNeeds: spec => [finalNorm(spec), headMatrix(spec)],
  finalNorm,

  embed: (layers, spec, ids) => layers.gather(embedding(spec), ids),

  block(layers, spec, block, hidden) {
    const tensors = blockTensors(spec, block)
    const attentionInput = layers.addAndNorm(hidden, tensors.inputNorm, spec.norm)
    const attention = layers.attention(attentionInput.normed, block, spec.attention, tensors)
    const mlpInput = layers.addAndNorm(
      { stream: attentionInput.stream, branch: layers.linear(attention, tensors.output) },
      tensors.mlpNorm,
      spec.norm
    )
    return { stream: mlpInput.stream, branch: layers.gatedMlp(mlpInput.normed, tensors) }
  },

  head(layers, spec, hidden) {
    const { normed } = layers.addAndNorm({ stream: hidden, branch: null }, finalNorm(spec), spec.norm)
    return layers.linear(normed, { weight: headMatrix(spec) })
  }
}

function embedding(spec: ModelSpec): TensorNeed {
  return { name: 'model.embed_tokens.weight', shape: [spec.vocabSize, spec.hiddenSize] }
}

function finalNorm(spec: ModelSpec): TensorNeed {
  return { name: 'model.norm.weight', shape: [spec.hiddenSize] }
}

function headMatrix(spec: ModelSpec): TensorNeed {
  return spec.tiedHead ? embedding(spec) : { name: 'lm_head.weight', shape: [spec.vocabSize, spec.hiddenSize] }
}

function blockTensors(spec: ModelSpec, block: number) {
  const { hiddenSize, attention, mlp } = spec
  const queryRows = attention.heads * attention.headDim
  const kvRows = attention.kvHeads * attention.headDim
  const norm = (layer: string): TensorNeed => ({ name: `model.layers.${block}.${layer}.weight`, shape: [hiddenSize] })
  const linear = (layer: string, rows: number, columns: number, bias: boolean): LinearNeed => ({
    weight: { name: `model.layers.${block}.${layer}.weight`, shape: [rows, columns] },
    ...(bias ? { bias: { name: `model.layers.${block}.${layer}.bias`, shape: [rows] } } : {})
  })
  return {
    inputNorm: norm('input_layernorm'),
    query: linear('self_attn.q_proj', queryRows, hiddenSize, attention.queryKeyValueBias),
    key: linear('self_attn.k_proj', kvRows, hiddenSize, attention.queryKeyValueBias),
    value: linear('self_attn.v_proj', kvRows, hiddenSize, attention.queryKeyValueBias),
    output: linear('self_attn.o_proj', hiddenSize, queryRows, attention.outputBias),
    mlpNorm: norm('post_attention_layernorm'),
    gate: linear('mlp.gate_proj', mlp.size, hiddenSize, mlp.bias),
    up: linear('mlp.up_proj', mlp.size, hiddenSize, mlp.bias),
    down: linear('mlp.down_proj', hiddenSize, mlp.size, mlp.bias)
  }
}

function tensorsOf(tensors: Record<string, TensorNeed | LinearNeed>): TensorNeed[] {
  return Object.values(tensors).flatMap(need => {
    if ('shape' in need) return [need]
    return need.bias === undefined ? [need.weight] : [need.weight, need.bias]
  })
}

function unfit(path: string, why: string): ModelFileError {
  return new ModelFileError('MODEL_CONFIG', `${path}: ${why}`, { details: { path } })
}
