import { type AndthenError, type Clock, TimeoutError } from '../base/index.ts'
import { type Boundaries, type Hop, type KeptRun, ServerFaultError } from '../inference/index.ts'
import { type Digester, equalBytes, type Output, Want } from '../wire/index.ts'
import { PREFILL_TOKENS } from './constants.ts'
import { HopError } from './errors.ts'

export interface ReplayComponents {
  readonly clock: Clock
  readonly boundaries: Boundaries
  readonly digest: Digester
}

interface Span {
  readonly from: number
  readonly to: number
}

/**
 * To which length each server must be cut back, at most, so that the chain can go on at `position`: where the inputs of
 * the server behind it were never kept, it computes them again.
 */
export function rewindLengths(spans: readonly Span[], position: number, keptAt: (block: number) => number): number[] {
  return spans.map(({ to }, i) => (i === spans.length - 1 ? position : Math.min(position, keptAt(to))))
}

/**
 * Brings every server of a chain from its length to `position`, with the inputs that were kept. Where a boundary's
 * inputs were not, they come from the server before it, which replays first. When one server fails, the others are
 * stopped, and none replays any more by the time this rejects.
 *
 * @param lengths tokens that each server's session holds
 * @returns how many servers were replayed to
 * @throws HopError of the server that failed first; what the signal was aborted with
 */
export async function replay(
  components: ReplayComponents,
  hops: readonly Hop[],
  plan: { epoch: number; position: number; lengths: readonly number[]; stepTimeoutMs: number },
  signal: AbortSignal
): Promise<number> {
  const { boundaries } = components
  const { epoch, position, stepTimeoutMs } = plan
  const stop = new AbortController()
  const stopped = AbortSignal.any([stop.signal, signal])
  const jobs: Promise<void>[] = []
  for (const [i, hop] of hops.entries()) {
    const from = plan.lengths[i] ?? 0
    if (from >= position) continue
    const kept = boundaries.at(hop.server.from)
    const next = hops[i + 1]
    const outputsFrom = next === undefined ? position : boundaries.at(next.server.from).length
    // The inputs of this server are the outputs of the one before, which is replayed for that.
    const inputsMissing = kept.length < position
    const before = inputsMissing ? jobs.at(-1) : undefined
    const job = (before ?? Promise.resolve()).then(() =>
      new HopReplay(components, hop, { epoch, outputsFrom, stepTimeoutMs }, stopped).run(from, position)
    )
    job.catch((error: unknown) => stop.abort(error))
    jobs.push(job)
  }
  await Promise.allSettled(jobs)
  stopped.throwIfAborted()
  return jobs.length
}

interface Sent {
  readonly position: number
  readonly n: number
  readonly into: Uint8Array | null
  heard: boolean
  done: boolean
}

/** Replays to one server: a few steps under way at a time. */
class HopReplay {
  readonly #clock: Clock
  readonly #digest: Digester
  readonly #boundaries: Boundaries
  readonly #hop: Hop
  readonly #epoch: number
  readonly #outputsFrom: number
  readonly #stepTimeoutMs: number
  readonly #signal: AbortSignal
  /** Steps that are not kept, in order. */
  readonly #sent: Sent[] = []
  #wake: () => void = () => undefined
  #failure: AndthenError | null = null

  constructor(
    components: ReplayComponents,
    hop: Hop,
    init: { epoch: number; outputsFrom: number; stepTimeoutMs: number },
    signal: AbortSignal
  ) {
    this.#clock = components.clock
    this.#digest = components.digest
    this.#boundaries = components.boundaries
    this.#hop = hop
    this.#epoch = init.epoch
    this.#outputsFrom = init.outputsFrom
    this.#stepTimeoutMs = init.stepTimeoutMs
    this.#signal = signal
  }

  /** @throws HopError, or what the signal was aborted with */
  async run(from: number, to: number): Promise<void> {
    const wake = (): void => this.#wake()
    this.#signal.addEventListener('abort', wake)
    try {
      await this.#run(from, to)
    } finally {
      this.#signal.removeEventListener('abort', wake)
    }
  }

  async #run(from: number, to: number): Promise<void> {
    this.#signal.throwIfAborted()
    const { session, server } = this.#hop
    session.listen({
      onOutput: (output, bytes) => this.#onOutput(output, bytes),
      onTensor: (output, tensor) => this.#onTensor(output, tensor),
      onNeedCopy: () => undefined,
      onMismatch: () => undefined,
      onEnd: error => this.#fail(error)
    })
    const { steps, bytes } = session.credit
    const most = Math.max(1, Math.min(steps, Math.floor(bytes / (PREFILL_TOKENS * this.#boundaries.rowBytes))))
    for (const run of this.#cut(from, to)) {
      while (this.#sent.length >= most) await this.#answer()
      const want = run.position >= this.#outputsFrom
      const { position, n } = run
      const into = want ? this.#boundaries.at(server.to).reserve(n) : null
      this.#sent.push({ position, n, into, heard: false, done: false })
      session.step({ epoch: this.#epoch, position, n, replay: true, want: want ? Want.tensor : Want.none }, run.bytes)
    }
    while (this.#sent.length > 0) await this.#answer()
  }

  /** Runs of kept inputs, cut where outputs begin to be wanted. */
  *#cut(from: number, to: number): Generator<KeptRun> {
    const kept = this.#boundaries.at(this.#hop.server.from)
    const middle = Math.min(to, Math.max(from, this.#outputsFrom))
    yield* kept.runs(from, middle, PREFILL_TOKENS)
    yield* kept.runs(middle, to, PREFILL_TOKENS)
  }

  async #answer(): Promise<void> {
    const late = new TimeoutError('a replayed step', this.#stepTimeoutMs)
    const cancel = this.#clock.after(this.#stepTimeoutMs, () => this.#fail(late))
    if (this.#failure === null && !this.#signal.aborted)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    cancel()
    this.#signal.throwIfAborted()
    if (this.#failure !== null) throw new HopError(this.#hop.server.peerId, this.#failure)
  }

  #onOutput(output: Output, bytes: number): Uint8Array | null {
    if (output.epoch !== this.#epoch || !output.replay) return null
    const sent = this.#sent.find(({ position }) => position === output.position)
    if (sent === undefined || sent.heard) return null
    sent.heard = true
    const { into } = sent
    if (bytes !== (into?.length ?? 0)) {
      this.#blame(`answered a replayed step with ${bytes} bytes, not ${into?.length ?? 0}`)
      return null
    }
    if (into === null) this.#answered(sent)
    return into
  }

  #onTensor(output: Output, tensor: Uint8Array): void {
    const sent = this.#sent.find(({ into }) => into === tensor)
    if (sent === undefined) return
    const digest = this.#digest({ boundary: this.#hop.server.to, position: sent.position, n: sent.n }, tensor)
    if (equalBytes(digest, output.outputDigest)) this.#answered(sent)
    else this.#blame('replayed hidden states that are not those of its digest')
  }

  /** Keeps in the order of positions, whatever the order of answers. */
  #answered(sent: Sent): void {
    sent.done = true
    for (let [first] = this.#sent; first?.done === true && !this.#over; [first] = this.#sent) {
      if (first.into !== null) this.#boundaries.at(this.#hop.server.to).keep(first.into)
      this.#sent.shift()
    }
    this.#wake()
  }

  /** What comes after another epoch may have begun is not kept. */
  get #over(): boolean {
    return this.#failure !== null || this.#signal.aborted
  }

  #blame(what: string): void {
    this.#fail(new ServerFaultError(this.#hop.server.peerId, what))
  }

  #fail(error: AndthenError): void {
    this.#failure ??= error
    this.#wake()
  }
}
