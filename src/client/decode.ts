import { type AndthenError, toAndthenError } from '../base/index.ts'
import type { EndsRunner } from '../runtime/index.ts'
import type { Chain } from './chain.ts'
import { PREFILL_TOKENS } from './constants.ts'
import type { TimedStep } from './figures.ts'
import type { PassResult } from './pass-queue.ts'
import type { Sampler } from './sampling.ts'

export interface DecoderComponents {
  readonly chain: Pick<Chain, 'reserve' | 'run'>
  readonly ends: EndsRunner
  readonly sampler: Sampler
  /** ms, monotonic. */
  readonly now: () => number
}

/** Turns a prompt into tokens, one at a time: embeds, runs the chain, samples. */
export class Decoder {
  /** Decode steps, timed. */
  readonly steps: TimedStep[] = []
  readonly #components: DecoderComponents
  readonly #history: number[] = []
  readonly #logits: Float32Array

  constructor(components: DecoderComponents) {
    this.#components = components
    this.#logits = new Float32Array(components.ends.vocabSize)
  }

  /** Runs the prompt, at least one id, in steps that the servers work on at the same time; returns the first new id. */
  async prefill(ids: readonly number[]): Promise<number> {
    const { chain } = this.#components
    this.#history.push(...ids)
    const failures: AndthenError[] = []
    let last: Promise<PassResult> | null = null
    for (let start = 0; start < ids.length; start += PREFILL_TOKENS) {
      const piece = ids.slice(start, start + PREFILL_TOKENS)
      const hidden = chain.reserve(piece.length)
      await this.#components.ends.embed(piece, hidden)
      // A chain that failed while the next piece was embedded runs nothing more.
      if (failures[0] !== undefined) throw failures[0]
      last = chain.run(hidden, start + piece.length === ids.length ? 'last' : 'none')
      last.catch((error: unknown) => failures.push(toAndthenError(error)))
    }
    // Results come in order, and a chain fails as a whole: the last one speaks for all.
    const result = await last
    return this.#sample(result?.tensor ?? null)
  }

  /** Runs one id; returns the next. */
  async next(id: number): Promise<number> {
    const { chain, ends, now } = this.#components
    const started = now()
    const hidden = chain.reserve(1)
    await ends.embed([id], hidden)
    const embedded = now()
    const { tensor, trace } = await chain.run(hidden, 'last')
    const back = now()
    const next = await this.#sample(tensor)
    const ended = now()
    this.steps.push({ pass: trace, stepMs: ended - started, clientMs: embedded - started + (ended - back) })
    return next
  }

  async #sample(tensor: Uint8Array | null): Promise<number> {
    const { ends, sampler } = this.#components
    if (tensor === null) throw new TypeError('a pass without hidden states cannot be sampled from')
    const hidden = new Float32Array(tensor.buffer, tensor.byteOffset, ends.hiddenSize)
    await ends.logits(hidden, this.#logits)
    const id = sampler.sample(this.#logits, this.#history)
    this.#history.push(id)
    return id
  }
}
