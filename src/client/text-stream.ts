import { DetokenizerStream, type Tokenizer } from '../model/index.ts'
import { StopStrings } from './stop-strings.ts'

/** Generated ids to the text that may be shown: whole characters, nothing of a stop string. */
export class TextStream {
  readonly #detokenizer: DetokenizerStream | null
  readonly #stops: StopStrings

  /** @param tokenizer null: ids have no text */
  constructor(tokenizer: Tokenizer | null, stops: readonly string[]) {
    this.#detokenizer = tokenizer === null ? null : new DetokenizerStream(tokenizer)
    this.#stops = new StopStrings(stops)
  }

  push(id: number): { emit: string; stopped: boolean } {
    return this.#stops.push(this.#detokenizer?.push(id) ?? '')
  }

  /** What was held back, when nothing follows. */
  flush(): string {
    const { emit, stopped } = this.#stops.push(this.#detokenizer?.flush() ?? '')
    return stopped ? emit : emit + this.#stops.flush()
  }
}
