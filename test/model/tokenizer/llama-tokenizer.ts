import { Tokenizer } from '../../../src/model/tokenizer/tokenizer.ts'
import type { ChatTemplate } from '../../../src/model/tokenizer/chat.ts'

const pieces = ['▁', '▁the', '▁king', 'dom', 's', '.', '▁né', 'é']
const bytes = Array.from({ length: 256 }, (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`)
const vocab = ['<unk>', '<s>', '</s>', ...bytes, ...pieces]

/** A small tokenizer in the manner of Llama 2's: spaces as ▁, unknown characters byte by byte, a space dropped in front. */
export function llamaTokenizer(chat: ChatTemplate | null = null): Tokenizer {
  const special = (id: number) => ({
    id,
    content: vocab[id],
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true
  })
  const definition = {
    version: '1.0',
    added_tokens: [0, 1, 2].map(special),
    normalizer: {
      type: 'Sequence',
      normalizers: [
        { type: 'Prepend', prepend: '▁' },
        { type: 'Replace', pattern: { String: ' ' }, content: '▁' }
      ]
    },
    pre_tokenizer: null,
    post_processor: {
      type: 'TemplateProcessing',
      single: [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
      pair: [],
      special_tokens: { '<s>': { id: '<s>', ids: [1], tokens: ['<s>'] } }
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
        { type: 'Strip', content: ' ', start: 1, stop: 0 }
      ]
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      fuse_unk: true,
      byte_fallback: true,
      vocab: Object.fromEntries(vocab.map((token, id) => [token, id])),
      merges: []
    }
  }
  return new Tokenizer({ definition, config: { bos_token: '<s>', eos_token: '</s>' }, chat })
}

export const llamaVocabSize = vocab.length
export const idOf = (token: string): number => vocab.indexOf(token)
