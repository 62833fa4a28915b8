import { describe, expect, it } from 'vitest'
import { supportedArchitectures } from '../../src/model/index.ts'
import { specOf } from '../../src/model/architectures/index.ts'

const base = {
  architectures: ['LlamaForCausalLM'],
  hidden_size: 64,
  intermediate_size: 112,
  num_hidden_layers: 3,
  num_attention_heads: 4,
  vocab_size: 128
}

const llama3 = {
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 32
}

const spec = (config: object) => specOf({ ...base, ...config }, 'config.json')

describe('config.json of a Llama model', () => {
  it("takes transformers' defaults for what the file leaves out", () => {
    expect(spec({})).toEqual({
      architecture: 'LlamaForCausalLM',
      blocks: 3,
      hiddenSize: 64,
      vocabSize: 128,
      maxLength: 2048,
      attention: { heads: 4, kvHeads: 4, headDim: 16, queryKeyValueBias: false, outputBias: false },
      positions: { kind: 'rotary', theta: 10_000, scaling: { kind: 'none' } },
      mlp: { kind: 'gated', activation: 'silu', size: 112, bias: false },
      norm: { kind: 'rms', epsilon: 1e-6 },
      tiedHead: false
    })
  })

  it.each<[string, object, object]>([
    [
      'no scaling',
      { rope_theta: 5e5, rope_scaling: null },
      { rope_parameters: { rope_type: 'default', rope_theta: 5e5 } }
    ],
    [
      'linear scaling',
      { rope_theta: 1e4, rope_scaling: { rope_type: 'linear', factor: 4 } },
      { rope_parameters: { rope_type: 'linear', rope_theta: 1e4, factor: 4 } }
    ],
    [
      'linear scaling under its first name',
      { rope_theta: 1e4, rope_scaling: { type: 'linear', factor: 4 } },
      { rope_parameters: { rope_type: 'linear', rope_theta: 1e4, factor: 4 } }
    ],
    [
      "llama3's scaling",
      { rope_theta: 5e5, rope_scaling: { rope_type: 'llama3', ...llama3 } },
      { rope_parameters: { rope_type: 'llama3', rope_theta: 5e5, ...llama3 } }
    ],
    [
      'everything else that is named differently or null',
      { torch_dtype: 'bfloat16', head_dim: null, num_key_value_heads: null },
      { dtype: 'bfloat16' }
    ]
  ])("means the same in transformers 4's and 5's form: %s", (_, four, five) => {
    expect(spec(four)).toEqual(spec(five))
  })

  it.each<[string, object, string, RegExp]>([
    ['a missing size', { hidden_size: undefined }, 'MODEL_CONFIG', /hidden_size/],
    ['a size that is text', { vocab_size: '128' }, 'MODEL_CONFIG', /vocab_size/],
    ['no blocks', { num_hidden_layers: 0 }, 'MODEL_CONFIG', /num_hidden_layers/],
    ['heads that cannot be grouped', { num_key_value_heads: 3 }, 'MODEL_CONFIG', /num_key_value_heads 3/],
    ['odd heads', { head_dim: 15 }, 'MODEL_CONFIG', /15 dimensions/],
    ['heads of a fraction', { num_attention_heads: 5 }, 'MODEL_CONFIG', /12.8 dimensions/],
    ['another activation', { hidden_act: 'gelu' }, 'MODEL_CONFIG', /hidden_act/],
    [
      'another scaling',
      { rope_scaling: { rope_type: 'yarn', factor: 4 } },
      'MODEL_CONFIG',
      /"yarn".*default, linear, llama3/
    ],
    ['a scaling without its factor', { rope_scaling: { type: 'linear' } }, 'MODEL_CONFIG', /factor/],
    [
      'heads rotated in part',
      { rope_parameters: { partial_rotary_factor: 0.5 } },
      'MODEL_CONFIG',
      /partial_rotary_factor 0.5/
    ],
    ['quantized weights', { quantization_config: { quant_method: 'gptq' } }, 'MODEL_CONFIG', /quantized/],
    ['no architecture', { architectures: [] }, 'MODEL_CONFIG', /architectures/],
    [
      'another architecture',
      { architectures: ['BloomForCausalLM'] },
      'MODEL_ARCHITECTURE',
      /BloomForCausalLM.*LlamaForCausalLM/
    ]
  ])('refuses %s', (_, config, code, message) => {
    expect(() => spec(config)).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }))
  })

  it.each([[null], [[]], ['text'], [5]])('refuses %j instead of an object', value => {
    expect(() => specOf(value, 'config.json')).toThrow(expect.objectContaining({ code: 'MODEL_CONFIG' }))
  })

  it('lists what is supported with the refusal', () => {
    expect(() => spec({ architectures: ['GPT2LMHeadModel'] })).toThrow(
      expect.objectContaining({ details: expect.objectContaining({ supported: supportedArchitectures }) })
    )
  })
})
