import { CancelledError } from '../../../src/base/index.ts'
import type { SpanRun, SpanRunner } from '../../../src/runtime/index.ts'

export const HIDDEN = 4

/** A span whose output depends on its input and on all that its slot's cache holds. */
export class FakeRunner implements SpanRunner {
  readonly runtime = { device: 'cpu', binding: 'c-api' as const, reason: 'a test', version: '0', library: 'none' }
  readonly hiddenSize = HIDDEN
  readonly slots = 2
  readonly maxLength = 100_000
  readonly chunkTokens = 100_000
  readonly memoryBytes = { weights: 0, kv: 0 }
  /** Runs wait while it is set. */
  gate: Promise<void> | null = null
  fails: Error | null = null
  runs = 0
  #busy = new Set<number>()
  readonly #cache = Array.from({ length: this.slots }, () => [] as number[])

  prefill(run: SpanRun, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#run([run], options)
  }

  decode(runs: readonly SpanRun[], options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#run(runs, options)
  }

  async #run(runs: readonly SpanRun[], { signal }: { signal?: AbortSignal }): Promise<void> {
    this.runs++
    for (const { slot, position } of runs) {
      if (position !== this.length(slot))
        throw new Error(`position ${position} in slot ${slot} of ${this.length(slot)}`)
      this.#busy.add(slot)
    }
    try {
      if (this.gate !== null) await this.gate
      if (signal?.aborted === true) throw new CancelledError('a run')
      if (this.fails !== null) throw this.fails
      for (const { slot, input, output } of runs) apply(this.#cache[slot]!, input, output)
    } finally {
      for (const { slot } of runs) this.#busy.delete(slot)
    }
  }

  length(slot: number): number {
    return this.#cache[slot]!.length
  }

  rewind(slot: number, length: number): void {
    if (this.#busy.has(slot) || length > this.length(slot)) throw new Error(`slot ${slot} cannot be cut to ${length}`)
    this.#cache[slot]!.length = length
  }

  release(slot: number): void {
    if (this.#busy.has(slot)) throw new Error(`slot ${slot} is in a run`)
    this.#cache[slot]!.length = 0
  }

  save(slot: number): Promise<Uint8Array> {
    return Promise.resolve(new Uint8Array(Float64Array.from(this.#cache[slot]!).buffer))
  }

  load(slot: number, state: Uint8Array): Promise<void> {
    this.#cache[slot] = [...new Float64Array(state.slice().buffer)]
    return Promise.resolve()
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

function apply(cache: number[], input: Float32Array, output: Float32Array): void {
  const fold = (sum: number, value: number): number => (sum * 3 + value) % 1009
  let past = cache.reduce(fold, 7)
  for (let at = 0; at < input.length; at += HIDDEN) {
    cache.push(input[at]!)
    past = fold(past, input[at]!)
    for (let i = at; i < at + HIDDEN; i++) output[i] = (input[i]! + past) % 1009
  }
}

/** What the span gives for these tokens on an empty cache; one number a token stands for its hidden states. */
export function expectedOutput(input: Uint8Array): Uint8Array {
  const states = new Float32Array(Uint8Array.from(input).buffer)
  const output = new Float32Array(states.length)
  apply([], states, output)
  return new Uint8Array(output.buffer)
}

/** Hidden states of tokens. */
export function statesOf(...tokens: number[]): Uint8Array {
  return new Uint8Array(Float32Array.from(tokens.flatMap(token => Array.from({ length: HIDDEN }, () => token))).buffer)
}
