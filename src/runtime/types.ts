import type { BindingName } from './binding.ts'

/** Which ONNX Runtime runs a graph, and how it is reached. */
export interface RuntimeInfo {
  readonly device: string
  /** `c-api`: its C API through an FFI; `official`: onnxruntime-node in a worker thread. */
  readonly binding: BindingName
  /** Why this binding, for people. */
  readonly reason: string
  /** ONNX Runtime's version. */
  readonly version: string
  /** Path of what was loaded. */
  readonly library: string
}

/** One run of a span over consecutive tokens of one session. */
export interface SpanRun {
  /** Row of the KV slab. */
  readonly slot: number
  /** Position of the first token; must equal the slot's length. */
  readonly position: number
  /** Hidden states in, float32 [tokens, hidden]; `tokens` is `input.length / hiddenSize`. */
  readonly input: Float32Array
  /** Where the span's hidden states go, same length as `input`; must not overlap it. */
  readonly output: Float32Array
}

export interface RunOptions {
  /** Terminates the run: the promise rejects with CancelledError and the slot's length is as before. */
  signal?: AbortSignal
}

/**
 * Runs a span of blocks over hidden states, with the KV cache of `slots` sessions in memory of its own. One run at a
 * time: a caller that starts a second before the first ends gets a RunnerBusyError, never a wrong result. Inputs are
 * read before the call returns its promise, outputs written before it resolves.
 *
 * Both kinds of run throw RunInputError for buffers that do not fit, SlotError, PositionError, LengthExceededError,
 * SlotBusyError, CancelledError, RunnerClosedError, RuntimeRunError for whatever ONNX Runtime reports, and DeviceLostError where
 * nothing will run any more. After any of them the slots are as before.
 */
export interface SpanRunner {
  readonly runtime: RuntimeInfo
  readonly hiddenSize: number
  readonly slots: number
  /** Tokens that a slot can hold. */
  readonly maxLength: number
  /** Most tokens that one `prefill` takes; longer inputs are the caller's to cut, so that decodes run in between. */
  readonly chunkTokens: number
  readonly memoryBytes: { readonly weights: number; readonly kv: number }

  /** Runs 1 to `chunkTokens` tokens of one session; the slot's length grows by as many. */
  prefill(run: SpanRun, options?: RunOptions): Promise<void>
  /** Runs one token of each of several sessions as one call; each slot's length grows by one. Slots are distinct. */
  decode(runs: readonly SpanRun[], options?: RunOptions): Promise<void>

  /** Tokens in the slot's cache. */
  length(slot: number): number
  /** Forgets the tokens at `length` and beyond. @throws SlotBusyError while the slot is in a run, PositionError */
  rewind(slot: number, length: number): void
  /** Empties the slot for its next session. @throws SlotBusyError while the slot is in a run, being saved or loaded */
  release(slot: number): void
  /**
   * What the slot's cache holds at the call, to be loaded into a slot of this runner again; other slots may run meanwhile.
   * @throws SlotBusyError while the slot is in a run, being saved or loaded
   */
  save(slot: number): Promise<Uint8Array>
  /**
   * Fills an empty slot with what `save` gave; other slots may run meanwhile.
   * @throws SlotBusyError, PositionError for a slot that is not empty, RunInputError for what is no state of this span
   */
  load(slot: number, state: Uint8Array): Promise<void>
  /** Frees the session, the slab and the device's memory; waits for a run in flight. */
  close(): Promise<void>
}

/**
 * The client's two ends of the model: token ids to hidden states, and hidden states to logits. Calls may overlap: they
 * take their turns.
 */
export interface EndsRunner {
  readonly runtime: RuntimeInfo
  readonly hiddenSize: number
  readonly vocabSize: number
  /** Writes float32 [ids.length, hidden] into `output`. @throws RunInputError for an id outside the vocabulary */
  embed(ids: readonly number[], output: Float32Array): Promise<void>
  /** Writes the logits, float32 [vocab], of one row of hidden states, float32 [hidden], into `output`. */
  logits(hidden: Float32Array, output: Float32Array): Promise<void>
  close(): Promise<void>
}
