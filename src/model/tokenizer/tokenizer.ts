import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers'
import { ModelFileError } from '../errors.ts'
import type { ChatTemplate } from './chat.ts'
import { type ChatMessage } from './chat.ts'

export interface TokenizerInit {
  /** `tokenizer.json`. */
  readonly definition: object
  /** `tokenizer_config.json`. */
  readonly config: object
  readonly chat: ChatTemplate | null
}

export interface EncodeOptions {
  /** Whether what the model's post-processor adds, such as a begin-of-text id, is added. @default true */
  addSpecialTokens?: boolean
}

/** Text to token ids and back, as Hugging Face's tokenizers do it. */
export class Tokenizer {
  readonly #tokenizer: HuggingFaceTokenizer
  readonly #chat: ChatTemplate | null

  constructor(init: TokenizerInit) {
    this.#tokenizer = new HuggingFaceTokenizer(init.definition, init.config)
    this.#chat = init.chat
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    return this.#tokenizer.encode(text, { add_special_tokens: options.addSpecialTokens ?? true }).ids
  }

  /** Special tokens are left out, and so are ids beyond the vocabulary, which a padded head can give. */
  decode(ids: readonly number[]): string {
    const known = ids.filter(id => this.#tokenizer.id_to_token(id) !== undefined)
    if (known.length === 0) return ''
    return this.#tokenizer.decode(known, { skip_special_tokens: true, clean_up_tokenization_spaces: false })
  }

  /**
   * The conversation as the model was trained to see it, up to where its answer begins. It holds its special tokens as
   * text: encode it with `addSpecialTokens: false`.
   *
   * @throws ModelFileError MODEL_TOKENIZER where the model has no template or the template refuses the messages
   */
  applyChatTemplate(messages: readonly ChatMessage[]): string {
    if (this.#chat === null) {
      throw new ModelFileError('MODEL_TOKENIZER', 'the model has no chat template; prompt it with plain text instead')
    }
    return this.#chat.render(messages)
  }
}
