import { CancelledError } from '../../src/base/index.ts'
import type { SpanRun, SpanRunner } from '../../src/runtime/index.ts'

export const HIDDEN = 4
const CAPACITY = 1000

/** What the whole model is in these tests: a block's output depends on its input and on all that its cache holds. */
function applyBlock(cache: number[], states: Float32Array): void {
  for (let at = 0; at < states.length; at += HIDDEN) {
    cache.push(states[at]!)
    const past = cache.reduce((sum, value) => (sum * 3 + value) % 1009, 7)
    for (let i = at; i < at + HIDDEN; i++) states[i] = (states[i]! + past) % 1009
  }
}

/** Blocks that compose: a span of two gives what two spans of one give, one after the other. */
export class BlockRunner implements SpanRunner {
  readonly runtime = { device: 'cpu', binding: 'c-api' as const, reason: 'a test', version: '0', library: 'none' }
  readonly hiddenSize = HIDDEN
  readonly slots = 2
  readonly maxLength = CAPACITY
  readonly chunkTokens = CAPACITY
  readonly memoryBytes = { weights: 0, kv: 0 }
  /** Of each slot, the tokens that each block keeps. */
  readonly #caches: number[][][]

  constructor(blocks: number) {
    this.#caches = Array.from({ length: this.slots }, () => Array.from({ length: blocks }, () => []))
  }

  prefill(run: SpanRun, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.decode([run], options)
  }

  async decode(runs: readonly SpanRun[], { signal }: { signal?: AbortSignal } = {}): Promise<void> {
    for (const { slot, position } of runs)
      if (position !== this.length(slot))
        throw new Error(`position ${position} in slot ${slot} of ${this.length(slot)}`)
    await Promise.resolve()
    if (signal?.aborted === true) throw new CancelledError('a run')
    for (const { slot, input, output } of runs) {
      output.set(input)
      for (const cache of this.#caches[slot]!) applyBlock(cache, output)
    }
  }

  length(slot: number): number {
    return this.#caches[slot]![0]!.length
  }

  rewind(slot: number, length: number): void {
    if (length > this.length(slot)) throw new Error(`slot ${slot} of ${this.length(slot)} cannot be cut to ${length}`)
    for (const cache of this.#caches[slot]!) cache.length = length
  }

  release(slot: number): void {
    this.rewind(slot, 0)
  }

  save(): Promise<Uint8Array> {
    return Promise.reject(new Error('nothing is parked here'))
  }

  load(): Promise<void> {
    return Promise.reject(new Error('nothing is parked here'))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Hidden states of tokens: float32 [tokens, hidden], all four the token. */
export function statesOf(tokens: readonly number[]): Float32Array {
  return Float32Array.from(tokens.flatMap(token => Array.from({ length: HIDDEN }, () => token)))
}

/** What a model of so many blocks gives for each of these tokens, however they are cut into passes and spans. */
export function expectedOf(tokens: readonly number[], blocks: number): number[] {
  const states = statesOf(tokens)
  for (let block = 0; block < blocks; block++) applyBlock([], states)
  return tokens.map((_, i) => states[i * HIDDEN]!)
}
