import { type AndthenError, type Clock, TimeoutError } from '../base/index.ts'
import { type Boundaries, type KeptRun, ServerFaultError } from '../inference/index.ts'
import { type Digester, equalBytes, type Output, Want } from '../wire/index.ts'
import { PREFILL_TOKENS } from './constants.ts'
import { HopError, ReplayInterruptedError } from './errors.ts'
import type { Hop } from './hop.ts'

export interface ReplayComponents {
  readonly clock: Clock
  readonly boundaries: Boundaries
  readonly digest: Digester
}

export interface HopReplayInit {
  readonly epoch: number
  /** The first position whose output is wanted: those before are kept. */
  readonly outputsFrom: number
  readonly stepTimeoutMs: number
  /** A step is answered. */
  readonly onProgress: () => void
}

interface Sent {
  readonly position: number
  readonly n: number
  readonly into: Uint8Array | null
  heard: boolean
  done: boolean
}

/** Replays to one server: a few steps under way at a time. */
export class HopReplay {
  readonly #clock: Clock
  readonly #digest: Digester
  readonly #boundaries: Boundaries
  readonly #hop: Hop
  readonly #init: HopReplayInit
  readonly #signal: AbortSignal
  /** Steps that are not kept, in order. */
  readonly #sent: Sent[] = []
  #wake: () => void = () => undefined
  #failure: AndthenError | null = null

  constructor(components: ReplayComponents, hop: Hop, init: HopReplayInit, signal: AbortSignal) {
    this.#clock = components.clock
    this.#digest = components.digest
    this.#boundaries = components.boundaries
    this.#hop = hop
    this.#init = init
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
      // Answers may be lost that cannot be asked for again.
      onResumed: () => this.#fail(new ReplayInterruptedError(server.peerId)),
      onEnd: error => this.#fail(error)
    })
    const { steps, bytes } = session.credit
    const most = Math.max(1, Math.min(steps, Math.floor(bytes / (PREFILL_TOKENS * this.#boundaries.rowBytes))))
    for (const run of this.#cut(from, to)) {
      while (this.#sent.length >= most) await this.#answer()
      const want = run.position >= this.#init.outputsFrom
      const { position, n } = run
      const into = want ? this.#boundaries.at(server.to).reserve(n) : null
      this.#sent.push({ position, n, into, heard: false, done: false })
      session.step(
        { epoch: this.#init.epoch, position, n, replay: true, want: want ? Want.tensor : Want.none },
        run.bytes
      )
    }
    while (this.#sent.length > 0) await this.#answer()
  }

  /** Runs of kept inputs, cut where outputs begin to be wanted. */
  *#cut(from: number, to: number): Generator<KeptRun> {
    const kept = this.#boundaries.at(this.#hop.server.from)
    const middle = Math.min(to, Math.max(from, this.#init.outputsFrom))
    yield* kept.runs(from, middle, PREFILL_TOKENS)
    yield* kept.runs(middle, to, PREFILL_TOKENS)
  }

  async #answer(): Promise<void> {
    const late = new TimeoutError('a replayed step', this.#init.stepTimeoutMs)
    const cancel = this.#clock.after(this.#init.stepTimeoutMs, () => this.#fail(late))
    if (this.#failure === null && !this.#signal.aborted)
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    cancel()
    this.#signal.throwIfAborted()
    if (this.#failure !== null) throw new HopError(this.#hop.server.peerId, this.#failure)
  }

  #onOutput(output: Output, bytes: number): Uint8Array | null {
    if (output.epoch !== this.#init.epoch || !output.replay) return null
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
    if (this.#over) return
    sent.done = true
    this.#init.onProgress()
    for (let [first] = this.#sent; first?.done === true; [first] = this.#sent) {
      if (first.into !== null) this.#boundaries.at(this.#hop.server.to).keep(first.into)
      this.#sent.shift()
    }
    this.#wake()
  }

  /** What comes after another epoch may have begun is not kept, nor is it a sign that anything comes of that. */
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
