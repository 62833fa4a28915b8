import { type AndthenError, CancelledError, keepAlive, toAndthenError } from '../base/index.ts'
import type { PortableProof, VerifyPolicyName } from '../wire/index.ts'
import type { RouteName } from './server-choice.ts'
import type { LatencyFigures, PushFigures } from './figures.ts'
import type { ResolvedSampling } from './sampling-settings.ts'

/** One token of a continuation. */
export interface GeneratedToken {
  /** The text that is certain since the token before; may be empty. Without a tokenizer always. */
  readonly text: string
  /** Null for text that was held back until the end. */
  readonly tokenId: number | null
}

export type FinishReason = 'stop' | 'length' | 'cancelled' | 'error'

/** What a generation was asked for, defaults filled in. */
export interface GenerationSettings extends ResolvedSampling {
  readonly maxNewTokens: number
  readonly stop: readonly string[]
}

export interface GenerationResult extends LatencyFigures {
  /** The continuation; null without a tokenizer. */
  readonly text: string | null
  readonly promptIds: readonly number[]
  /** Without the id that ended the text. */
  readonly tokenIds: readonly number[]
  readonly finishReason: FinishReason
  readonly timeToFirstTokenMs: number | null
  readonly setup: { readonly loadMs: number; readonly connectMs: number; readonly openMs: number }
  readonly tokensPerStep: number | null
  readonly route: RouteName
  readonly verify: VerifyPolicyName
  readonly settings: GenerationSettings
  readonly pushes: PushFigures
  /** Server-steps whose pushed input was proven. */
  readonly verified: number
  /** Tokens, the least of all servers. */
  readonly committed: number
  /** Servers that were brought up to date with kept inputs. */
  readonly replays: number
  /** Times that a lost connection was made anew and its session went on as it was: nothing was replayed for it. */
  readonly resumes: number
  /**
   * Passes of a text that was to be delegated, which the client ran by push or relay: the first server takes on no such
   * route, did not get to the others, or was not to be left with them.
   */
  readonly undelegated: number
  /** Servers that were not used, not even as spares: their sessions hold fewer tokens than prompt and continuation may have. */
  readonly leftOut: readonly { readonly peerId: string; readonly maxLength: number }[]
  /** That servers lied, each for anyone to check. */
  readonly proofs: readonly PortableProof[]
}

/** What a generation works through: tokens as they come, then the result. */
export interface GenerationWork {
  emit(token: GeneratedToken): void
  readonly signal: AbortSignal
}

/**
 * A running generation: iterate it for the text as it comes, await `result` for the whole. It runs whether or not it is
 * iterated; to stop it, abort its signal, or leave the iteration.
 */
export class Generation implements AsyncIterable<GeneratedToken> {
  /** Rejects with what ended the generation; `partial` has what came before. */
  readonly result: Promise<GenerationResult>
  readonly #stop = new AbortController()
  readonly #tokens: GeneratedToken[] = []
  readonly #tokenIds: number[] = []
  #text = ''
  #wake: () => void = () => undefined
  #ended: { readonly error: AndthenError | null } | null = null

  constructor(work: (work: GenerationWork) => Promise<GenerationResult>, signal?: AbortSignal) {
    const signals = signal === undefined ? [this.#stop.signal] : [this.#stop.signal, signal]
    const running = work({ emit: token => this.#emit(token), signal: AbortSignal.any(signals) })
    // Servers may be waited for while no connection is left.
    this.result = keepAlive(running).then(
      result => {
        this.#end(null)
        return result
      },
      (thrown: unknown) => {
        const error = toAndthenError(thrown)
        this.#end(error)
        throw error
      }
    )
    // Who iterates hears of the failure there, and need not ask for the result.
    this.result.catch(() => undefined)
  }

  /** What was generated so far. */
  get partial(): { readonly text: string; readonly tokenIds: readonly number[] } {
    return { text: this.#text, tokenIds: this.#tokenIds }
  }

  /** Ends it as if its signal were aborted. */
  cancel(): void {
    this.#stop.abort(new CancelledError('the generation'))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<GeneratedToken> {
    try {
      for (let at = 0; ; at++) {
        while (at >= this.#tokens.length && this.#ended === null)
          await new Promise<void>(resolve => {
            this.#wake = resolve
          })
        const token = this.#tokens[at]
        if (token === undefined) break
        yield token
      }
      if (this.#ended?.error != null) throw this.#ended.error
    } finally {
      if (this.#ended === null) this.cancel()
    }
  }

  #emit(token: GeneratedToken): void {
    this.#tokens.push(token)
    this.#text += token.text
    if (token.tokenId !== null) this.#tokenIds.push(token.tokenId)
    this.#wake()
  }

  #end(error: AndthenError | null): void {
    this.#ended = { error }
    this.#wake()
  }
}
