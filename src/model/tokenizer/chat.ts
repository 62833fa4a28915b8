import { Template } from '@huggingface/jinja'
import { ModelFileError } from '../errors.ts'

export interface ChatMessage {
  readonly role: string
  readonly content: string
}

/** The special tokens that templates write, as text. */
export type SpecialTokens = Readonly<Partial<Record<'bos_token' | 'eos_token' | 'pad_token' | 'unk_token', string>>>

/** A model's Jinja template, which turns messages into a prompt (transformers, "Chat templates"). */
export class ChatTemplate {
  readonly #template: Template
  readonly #specialTokens: SpecialTokens

  /** @throws ModelFileError MODEL_TOKENIZER where the source is not a template */
  constructor(source: string, specialTokens: SpecialTokens) {
    this.#template = guarded('the chat template cannot be parsed', () => new Template(source))
    this.#specialTokens = specialTokens
  }

  render(messages: readonly ChatMessage[]): string {
    return guarded('the chat template refuses these messages', () =>
      this.#template.render({ ...this.#specialTokens, messages, add_generation_prompt: true })
    )
  }
}

function guarded<T>(what: string, run: () => T): T {
  try {
    return run()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ModelFileError('MODEL_TOKENIZER', `${what}: ${why}`, { cause })
  }
}
