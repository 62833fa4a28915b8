import type { AndthenError } from '../base/index.ts'
import type { PassInput, PassTrace } from '../inference/index.ts'

export interface PassResult {
  /** The last token's hidden states, float32 [hidden] little-endian; null where none were wanted. */
  readonly tensor: Uint8Array | null
  readonly trace: PassTrace
}

interface Job {
  readonly input: PassInput
  emitted: boolean
  /** Of the run that gave the result last. */
  trace: PassTrace | null
  resolve(result: PassResult): void
  reject(error: AndthenError): void
}

/** Passes that are not done, in order: they run again with each chain that is built, and give their results once. */
export class PassQueue {
  /** The first has step number `#base` in this epoch, the first `#started` are under way. */
  readonly #jobs: Job[] = []
  #base = 0
  #started = 0

  /** Where the first pass begins that is not done; null: all are done. */
  get position(): number | null {
    return this.#jobs[0]?.input.position ?? null
  }

  /** All results were given out. */
  get allEmitted(): boolean {
    return this.#jobs.every(({ emitted }) => emitted)
  }

  /** Resolves to the pass's result; rejects with what `fail` says. */
  add(input: PassInput): Promise<PassResult> {
    return new Promise((resolve, reject) => {
      this.#jobs.push({ input, emitted: false, trace: null, resolve, reject })
    })
  }

  /** Another epoch begins: none is under way. */
  restart(): void {
    this.#base = 0
    this.#started = 0
  }

  /** The next pass to start, where fewer than `window` are under way. */
  next(window: number): PassInput | null {
    const job = this.#jobs[this.#started]
    if (job === undefined || this.#started >= window) return null
    this.#started++
    return job.input
  }

  /** The result of a step of this epoch is there. What ran again was given out before: false. */
  emit(step: number, result: PassResult): boolean {
    const job = this.#jobs[step - this.#base]
    if (job === undefined) return false
    job.trace = result.trace
    if (job.emitted) return false
    job.emitted = true
    job.resolve(result)
    return true
  }

  /** The first pass is done; its trace. */
  retire(): PassTrace | null {
    const job = this.#jobs.shift()
    this.#base++
    this.#started--
    return job?.trace ?? null
  }

  /** None of them will be done. */
  fail(error: AndthenError): void {
    for (const job of this.#jobs.splice(0)) job.reject(error)
  }
}
