import { type AndthenError, CancelledError, type Clock, type Logger, TimeoutError } from '../../base/index.ts'
import type { Credit, Lengths, Opened, Pushes, Resumed, Rewound, Terminated } from '../../wire/index.ts'
import { CLOSE_TIMEOUT_MS, REWIND_TIMEOUT_MS } from './constants.ts'
import { ServerFaultError, SessionTerminatedError } from './errors.ts'
import { LastWord } from './last-word.ts'
import type { OwnerStream } from './owner-stream.ts'
import { PendingRewinds, type RewindRequest } from './pending-rewinds.ts'
import { type OwnerValue, SentLog } from './sent-log.ts'
import { SessionInbox } from './session-inbox.ts'
import type { SessionListener } from './session-listener.ts'
import { WaitingProofs } from './waiting-proofs.ts'
import { type Reconnect, WayBack } from './way-back.ts'

export interface SpanSessionComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly stream: OwnerStream
  readonly reconnect: Reconnect
}

export interface SpanSessionInit {
  /** The answer to the `Open` that was the stream's first message. */
  readonly opened: Opened
  /** For how long to try to come back when the connection is lost, ms: asked then. With 0 it is tried once. */
  readonly resumeMs: () => number
}

/**
 * The owner's end of one open session on one server: requests out, answers in. What to send when is decided by its
 * user, who keeps what is outstanding within `opened.credit`. Where the connection is lost the session is resumed on
 * another stream, what may be lost is said again, and its user notices nothing but the time that it took.
 *
 *     open ◀──Resumed── away ──refused, or too late──▶ ended
 *       '──connection lost──▲
 */
export class SpanSession {
  /** What the server granted. */
  readonly opened: Opened
  /** How often it was resumed. */
  resumes = 0
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #log = new SentLog()
  readonly #wayBack: WayBack
  #stream: OwnerStream
  readonly #rewinds: PendingRewinds
  readonly #inbox: SessionInbox
  #state: 'open' | 'away' | 'closing' | 'ended' = 'open'
  #endedBy: AndthenError | null = null
  readonly #lastWord: LastWord
  readonly #proofs: WaitingProofs

  constructor(components: SpanSessionComponents, { opened, resumeMs }: SpanSessionInit) {
    const { peerId } = components.stream
    this.#clock = components.clock
    this.#logger = components.logger
    this.#stream = components.stream
    this.#wayBack = new WayBack(components, { peerId, patienceMs: resumeMs })
    this.opened = opened
    this.#rewinds = new PendingRewinds(components.clock, peerId)
    this.#inbox = new SessionInbox(
      {
        onTerminated: terminated => this.#onTerminated(terminated),
        onRefused: error => this.#onRefused(error),
        onFault: error => this.#stream.abort(error)
      },
      { peerId, log: this.#log, rewinds: this.#rewinds, lengths: opened.lengths }
    )
    this.#lastWord = new LastWord(components)
    this.#proofs = new WaitingProofs(components, value => this.#stream.send({ kind: 'verify', value }))
    this.#hear(components.stream)
  }

  get peerId(): string {
    return this.#stream.peerId
  }

  get credit(): Credit {
    return this.opened.credit
  }

  /** As the server said last. */
  get lengths(): Lengths {
    return this.#inbox.lengths
  }

  /** What became of the pushes into this session, as the server said last. */
  get pushes(): Pushes {
    return this.#inbox.pushes
  }

  /** Nothing waits to be sent. */
  get uplinkIdle(): boolean {
    return this.#stream.idle
  }

  /** It can be used; while it is away what is asked of it waits. */
  get alive(): boolean {
    return this.#state === 'open' || this.#state === 'away'
  }

  /** The connection is lost, and the way back is being tried. */
  get away(): boolean {
    return this.#state === 'away'
  }

  /** Hears what comes from now on; at once, if the session is over already. */
  listen(listener: SessionListener): void {
    this.#inbox.listener = listener
    if (this.#endedBy !== null) listener.onEnd(this.#endedBy)
  }

  /** @param bytes float32 [n, hidden], unchanged from here on; null: a push brings the input */
  step(step: OwnerValue<'step'>, bytes: Uint8Array | null): void {
    this.#log.sent(step, bytes)
    this.#proofs.send()
    this.#sendStep(step, bytes)
  }

  /** Proves an input: with the next thing that is sent, or a moment later. Nobody waits for it: a token counts without. */
  verify(verify: OwnerValue<'verify'>): void {
    this.#log.proven(verify)
    this.#proofs.add(verify)
  }

  /**
   * Begins a higher epoch.
   *
   * @throws TimeoutError without an answer in time; else what ended the session, if it did
   */
  async rewind(rewind: RewindRequest): Promise<Rewound> {
    const gone = (): AndthenError => this.#endedBy ?? new ServerFaultError(this.peerId, 'has no session any more')
    if (!this.alive) throw gone()
    // Tensors of the epoch before are stale once this is sent.
    this.#log.begin(rewind.epoch)
    this.#proofs.send()
    this.#stream.send({ kind: 'rewind', value: rewind })
    // Nothing that is thrown away in sending it is answered.
    if (!this.alive) throw gone()
    return this.#rewinds.add(rewind)
  }

  /**
   * Resolves when all that was sent is with the stream, or what may be lost of it with the one after; or the session is over.
   *
   * @throws TimeoutError when the server takes it no faster than it may answer a rewind
   */
  flushed(): Promise<void> {
    const { peerId: peer } = this
    const late = new TimeoutError(`what was sent to peer ${peer}`, REWIND_TIMEOUT_MS, { details: { peer } })
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(REWIND_TIMEOUT_MS, () => reject(late))
      void this.#flushed().then(() => {
        cancel()
        resolve()
      })
    })
  }

  keepAlive(): void {
    this.#stream.send({ kind: 'keepAlive', value: {} })
  }

  /** Ends the session when what was sent is sent. Returns the server's last word, or null where it has none within a second. */
  async close(): Promise<Terminated | null> {
    if (!this.alive) return null
    this.#proofs.send()
    const away = this.#state === 'away'
    this.#state = 'closing'
    this.#rewinds.rejectAll(new CancelledError('a rewind'))
    // A server that is not reached any more ends the session when its grace is over.
    if (away && !(await this.#wayBack.foundWithin(CLOSE_TIMEOUT_MS))) return null
    // Close overtakes tensors, and a copy that proves the last step must not be overtaken.
    return this.#sayGoodbye(this.#stream.flushed())
  }

  /** Gives the session up without a word; the listener hears nothing. */
  abort(error: AndthenError): void {
    if (this.alive) this.#state = 'closing'
    this.#wayBack.giveUp()
    this.#rewinds.rejectAll(error)
    this.#stream.abort(error)
  }

  async #flushed(): Promise<void> {
    let stream: OwnerStream
    do {
      stream = this.#stream
      await stream.flushed()
      await this.#wayBack.found
    } while (stream !== this.#stream)
  }

  /** What waits to be sent is of no use any more once another epoch begins. */
  #sendStep(step: OwnerValue<'step'>, bytes: Uint8Array | null): void {
    const { epoch } = this.#log
    if (bytes === null) this.#stream.send({ kind: 'step', value: step })
    else this.#stream.sendTensor({ kind: 'step', value: step }, bytes, { stale: () => epoch < this.#log.epoch })
  }

  #hear(stream: OwnerStream): void {
    stream.handler = {
      onMessage: (message, bytes) => this.#inbox.onMessage(message, bytes),
      onTensor: (message, tensor) => this.#inbox.onTensor(message, tensor),
      onEnd: error => this.#end(error),
      onLost: error => void this.#comeBack(error)
    }
  }

  /** The session is over with what took the connection, where there is no way back. */
  async #comeBack(lost: AndthenError): Promise<void> {
    if (this.#state !== 'open') {
      this.#end(lost)
      return
    }
    this.#state = 'away'
    this.#rewinds.hold()
    const { epoch, outputs } = this.#log
    const found = await this.#wayBack.find(
      { incarnation: this.opened.incarnation, epoch, outputs },
      (stream, resumed) => this.#adopt(stream, resumed)
    )
    if (!found) this.#end(lost)
  }

  /** Says again what may be lost, on the stream that speaks for the session from now on. */
  #adopt(stream: OwnerStream, resumed: Resumed): void {
    this.#stream = stream
    this.#hear(stream)
    if (this.#state === 'away') this.#state = 'open'
    this.resumes++
    this.#inbox.onResumed(resumed)
    this.#logger.debug({ peer: this.peerId, epoch: resumed.epoch }, 'session resumed')
    // The log has them, too.
    this.#proofs.drop()
    for (const message of this.#log.again(resumed))
      if (message.kind === 'step') this.#sendStep(message.value, message.bytes)
      else stream.send(message)
    // What proves the epoch before goes ahead of the rewind that ends it.
    for (const request of this.#rewinds.unheard(resumed)) stream.send({ kind: 'rewind', value: request })
    this.#inbox.listener.onResumed?.()
  }

  /** One deadline for all of it: a server that takes nothing is waited for no longer than one that says nothing. */
  async #sayGoodbye(flushed: Promise<void>): Promise<Terminated | null> {
    const said = this.#lastWord.within(CLOSE_TIMEOUT_MS)
    void flushed.then(() => this.#stream.send({ kind: 'close', value: {} }))
    const lastWord = await said
    if (lastWord === null) this.#stream.abort(new ServerFaultError(this.peerId, 'did not end the session'))
    else {
      this.#state = 'ended'
      await this.#stream.close()
    }
    return lastWord
  }

  #onTerminated(terminated: Terminated): void {
    if (this.#state === 'closing') this.#lastWord.is(terminated)
    else this.#stream.abort(new SessionTerminatedError(this.peerId, terminated))
  }

  /** The server refused something: the session is of no more use, and its place there is wanted by others. */
  #onRefused(error: AndthenError): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#tellEnd(error)
    void this.#sayGoodbye(Promise.resolve())
  }

  #end(error: AndthenError): void {
    const wasOpen = this.alive
    this.#state = 'ended'
    this.#proofs.drop()
    this.#wayBack.giveUp()
    this.#rewinds.rejectAll(error)
    this.#lastWord.is(null)
    if (wasOpen) this.#tellEnd(error)
  }

  #tellEnd(error: AndthenError): void {
    this.#endedBy = error
    this.#rewinds.rejectAll(error)
    this.#inbox.listener.onEnd(error)
  }
}
