import { AndthenError } from '../base/index.ts'
import { Candidates } from './sampling-candidates.ts'
import { seededUniform } from './sampling-random.ts'
import { type ResolvedSampling, resolveSampling, type SamplingSettings } from './sampling-settings.ts'

/** Chooses tokens; one a generation, since it keeps the state of its random numbers. */
export interface Sampler {
  /** What is in force, defaults and a drawn seed included. */
  readonly settings: ResolvedSampling
  /**
   * The next token's id.
   * @param logits float32 [vocab], left as they are; -Infinity forbids a token
   * @param history ids of the prompt and of what was generated, for the repetition penalty
   * @throws LogitsError when a logit is NaN or +Infinity, or all are -Infinity
   */
  sample(logits: Float32Array, history: readonly number[]): number
}

/** The model's output cannot be sampled from. */
export class LogitsError extends AndthenError {
  override readonly name = 'LogitsError'
  constructor(what: string) {
    super('BAD_LOGITS', `${what}: the weights or a server of the chain are broken`)
  }
}

/**
 * Applies, in the order of Hugging Face's `generate`: repetition penalty, temperature, top-k, top-p; then draws.
 * Buffers of the vocabulary's size are made at the first token and kept.
 *
 * @throws UsageError naming the setting and its value
 */
export function createSampler(settings: SamplingSettings): Sampler {
  const resolved = resolveSampling(settings)
  const uniform = seededUniform(resolved.seed)
  let draw: Draw | undefined
  return {
    settings: resolved,
    sample(logits, history) {
      const { repetitionPenalty, temperature } = resolved
      if (repetitionPenalty === 1 && temperature === 0) return likeliest(logits)
      if (draw?.scores.length !== logits.length) draw = new Draw(logits.length, resolved)
      draw.scores.set(logits)
      if (repetitionPenalty !== 1) penalize(draw.scores, logits, history, repetitionPenalty)
      const best = likeliest(draw.scores)
      return temperature === 0 ? best : draw.pick(best, uniform())
    }
  }
}

/** Reads `logits` and writes `scores`, so that an id that the history holds twice is penalized once. */
function penalize(scores: Float32Array, logits: Float32Array, history: readonly number[], penalty: number): void {
  for (const id of history) {
    const logit = logits[id]
    if (logit !== undefined) scores[id] = logit < 0 ? logit * penalty : logit / penalty
  }
}

/** The id of the largest score, the lowest of equals. */
function likeliest(scores: Float32Array): number {
  let best = -1
  let top = Number.NEGATIVE_INFINITY
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id] ?? top
    if (score > top) {
      best = id
      top = score
    } else if (Number.isNaN(score)) {
      throw new LogitsError(`logit ${id} is NaN`)
    }
  }
  if (best === -1) throw new LogitsError('no token of the vocabulary has a finite logit')
  if (top === Number.POSITIVE_INFINITY) throw new LogitsError(`logit ${best} is Infinity`)
  return best
}

/** One random choice among the tokens that top-k and top-p leave. */
class Draw {
  /** Float32 [vocab], filled by the caller before each `pick`. */
  readonly scores: Float32Array
  readonly #weights: Float32Array
  readonly #candidates: Candidates
  readonly #settings: ResolvedSampling

  constructor(vocabSize: number, settings: ResolvedSampling) {
    this.scores = new Float32Array(vocabSize)
    this.#weights = new Float32Array(vocabSize)
    this.#candidates = new Candidates(this.scores)
    this.#settings = settings
  }

  /** @param best id of the largest score. @param at where in the kept tokens' probability to pick, in [0, 1) */
  pick(best: number, at: number): number {
    const total = this.#weigh(this.scores[best] ?? 0)
    const { topK, topP } = this.#settings
    const limitsK = topK > 0 && topK < this.scores.length
    if (!limitsK && topP === 1) return this.#walk(this.scores.length, id => id, at * total)

    this.#candidates.reset()
    const mass = limitsK ? this.#takeTopK(topK) : total
    const [kept, keptMass] = this.#topP(topP * mass)
    return this.#walk(kept, nth => this.#candidates.takenAt(nth), at * keptMass)
  }

  /** Unnormalized probabilities at the temperature; the largest is 1. Returns their sum. */
  #weigh(top: number): number {
    const { temperature } = this.#settings
    let total = 0
    for (let id = 0; id < this.scores.length; id++) {
      const weight = Math.exp(((this.scores[id] ?? top) - top) / temperature)
      this.#weights[id] = weight
      total += this.#weight(id)
    }
    return total
  }

  /** Takes k candidates and all that equal the last of them; returns their weight. */
  #takeTopK(k: number): number {
    let mass = 0
    let last = Number.POSITIVE_INFINITY
    while (this.#candidates.taken < k || this.#candidates.nextScore() === last) {
      last = this.#candidates.nextScore()
      const id = this.#candidates.take()
      if (id === undefined) break
      mass += this.#weight(id)
    }
    return mass
  }

  /** How many of the likeliest, at least one, reach `wanted` weight, and what they weigh. */
  #topP(wanted: number): [kept: number, mass: number] {
    const limit = this.#candidates.taken || this.scores.length
    let kept = 0
    let mass = 0
    while (kept < limit && (kept === 0 || mass < wanted)) {
      if (kept === this.#candidates.taken) this.#candidates.take()
      mass += this.#weight(this.#candidates.takenAt(kept++))
    }
    return [kept, mass]
  }

  /** The candidate in whose share of the running sum `target` falls. */
  #walk(count: number, candidate: (nth: number) => number, target: number): number {
    let left = target
    let last = candidate(0)
    for (let nth = 0; nth < count; nth++) {
      const id = candidate(nth)
      const weight = this.#weight(id)
      if (weight === 0) continue
      if (left < weight) return id
      left -= weight
      last = id
    }
    return last
  }

  #weight(id: number): number {
    return this.#weights[id] ?? 0
  }
}
