import type { Clock } from '../base/index.ts'
import type { Decoder } from './decode.ts'
import type { FinishReason, GenerationWork } from './generation.ts'
import type { TextStream } from './text-stream.ts'

/** Tokens and text as they come, until something ends them. */
export class Continuation {
  readonly emittedMs: number[] = []
  readonly tokenIds: number[] = []
  text = ''
  readonly #decoder: Pick<Decoder, 'prefill' | 'next'>
  readonly #stream: TextStream
  readonly #work: GenerationWork
  readonly #clock: Clock

  constructor(decoder: Pick<Decoder, 'prefill' | 'next'>, stream: TextStream, work: GenerationWork, clock: Clock) {
    this.#decoder = decoder
    this.#stream = stream
    this.#work = work
    this.#clock = clock
  }

  async run(promptIds: readonly number[], maxNewTokens: number, eos: readonly number[]): Promise<FinishReason> {
    const { signal } = this.#work
    if (signal.aborted) return 'cancelled'
    const cancelled = new Promise<'cancelled'>(resolve => {
      signal.addEventListener('abort', () => resolve('cancelled'), { once: true })
    })
    try {
      return await Promise.race([this.#decode(promptIds, maxNewTokens, eos), cancelled])
    } finally {
      this.#show(this.#stream.flush(), null)
    }
  }

  async #decode(promptIds: readonly number[], maxNewTokens: number, eos: readonly number[]): Promise<FinishReason> {
    let id = maxNewTokens > 0 ? await this.#decoder.prefill(promptIds) : null
    while (id !== null) {
      if (this.#work.signal.aborted) return 'cancelled'
      this.emittedMs.push(this.#clock.now())
      if (eos.includes(id)) return 'stop'
      this.tokenIds.push(id)
      const { emit, stopped } = this.#stream.push(id)
      this.#show(emit, id)
      if (stopped) return 'stop'
      id = this.tokenIds.length < maxNewTokens ? await this.#decoder.next(id) : null
    }
    return 'length'
  }

  #show(text: string, tokenId: number | null): void {
    this.text += text
    if (text !== '' || tokenId !== null) this.#work.emit({ text, tokenId })
  }
}
