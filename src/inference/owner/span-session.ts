import { type AndthenError, CancelledError, type Clock } from '../../base/index.ts'
import type {
  Credit,
  Lengths,
  Mismatch,
  NeedCopy,
  Opened,
  Outgoing,
  Output,
  OwnerMessage,
  Pushes,
  Rewound,
  ServerMessage,
  Terminated
} from '../../wire/index.ts'
import { CLOSE_TIMEOUT_MS, PROOF_WAIT_MS, REWIND_TIMEOUT_MS } from './constants.ts'
import { RemoteError, ServerFaultError, SessionTerminatedError } from './errors.ts'
import type { OwnerStream } from './owner-stream.ts'

type OwnerValue<K extends OwnerMessage['kind']> = Extract<Outgoing<OwnerMessage>, { kind: K }>['value']

/** What a server says in a session, as it comes. */
export interface SessionListener {
  /** An output's header; `bytes` of tensor follow (0: none). Returns where they go, or null to read past them. */
  onOutput(output: Output, bytes: number): Uint8Array | null
  /** The tensor of that output is whole. */
  onTensor(output: Output, tensor: Uint8Array): void
  onNeedCopy(request: NeedCopy): void
  onMismatch(mismatch: Mismatch): void
  /** The session is over, though it was not closed or aborted from here; the last call. */
  onEnd(error: AndthenError): void
}

const unheard: SessionListener = {
  onOutput: () => null,
  onTensor: () => undefined,
  onNeedCopy: () => undefined,
  onMismatch: () => undefined,
  onEnd: () => undefined
}

interface PendingRewind {
  resolve(rewound: Rewound): void
  reject(error: AndthenError): void
  cancel(): void
}

/**
 * The owner's end of one open session on one server: requests out, answers in. What to send when is decided by its
 * user, who keeps what is outstanding within `opened.credit`.
 */
export class SpanSession {
  /** What the server granted. */
  readonly opened: Opened
  readonly #clock: Clock
  readonly #stream: OwnerStream
  readonly #rewinds = new Map<number, PendingRewind>()
  #listener = unheard
  #state: 'open' | 'closing' | 'ended' = 'open'
  #endedBy: AndthenError | null = null
  #onLastWord: (terminated: Terminated | null) => void = () => undefined
  #epoch = 0
  /** Proofs that wait for the next step. */
  readonly #proofs: OwnerValue<'verify'>[] = []
  #stopWaiting: (() => void) | null = null
  #lengths: Lengths
  #pushes: Pushes = { used: 0, late: 0, ignored: 0, mismatched: 0 }

  /** @param opened the answer to the `Open` that was the stream's first message */
  constructor(components: { clock: Clock; stream: OwnerStream }, opened: Opened) {
    this.#clock = components.clock
    this.#stream = components.stream
    this.opened = opened
    this.#lengths = opened.lengths
    this.#stream.handler = {
      onMessage: (message, bytes) => this.#onMessage(message, bytes),
      onTensor: (message, tensor) => {
        if (message.kind === 'output') this.#listener.onTensor(message.value, tensor)
      },
      onEnd: error => this.#end(error)
    }
  }

  get peerId(): string {
    return this.#stream.peerId
  }

  get credit(): Credit {
    return this.opened.credit
  }

  /** As the server said last. */
  get lengths(): Lengths {
    return this.#lengths
  }

  /** What became of the pushes into this session, as the server said last. */
  get pushes(): Pushes {
    return this.#pushes
  }

  /** Nothing waits to be sent. */
  get uplinkIdle(): boolean {
    return this.#stream.idle
  }

  /** It can be used. */
  get alive(): boolean {
    return this.#state === 'open'
  }

  /** Hears what comes from now on; at once, if the session is over already. */
  listen(listener: SessionListener): void {
    this.#listener = listener
    if (this.#endedBy !== null) listener.onEnd(this.#endedBy)
  }

  /** @param bytes float32 [n, hidden], unchanged from here on; null: a push brings the input */
  step(step: OwnerValue<'step'>, bytes: Uint8Array | null): void {
    this.#sendProofs()
    if (bytes === null) {
      this.#stream.send({ kind: 'step', value: step })
      return
    }
    const { epoch = 0 } = step
    this.#stream.sendTensor({ kind: 'step', value: step }, bytes, { stale: () => epoch < this.#epoch })
  }

  /** Proves an input: with the next thing that is sent, or a moment later. Nobody waits for it: a token counts without. */
  verify(verify: OwnerValue<'verify'>): void {
    this.#proofs.push(verify)
    this.#stopWaiting ??= this.#clock.after(PROOF_WAIT_MS, () => this.#sendProofs())
  }

  /**
   * Begins a higher epoch.
   *
   * @throws ServerFaultError without an answer in time; else what ended the session, if it did
   */
  rewind(rewind: OwnerValue<'rewind'> & { epoch: number }): Promise<Rewound> {
    const { epoch } = rewind
    return new Promise<Rewound>((resolve, reject) => {
      if (this.#state !== 'open') {
        reject(this.#endedBy ?? new ServerFaultError(this.peerId, 'has no session for a rewind any more'))
        return
      }
      // Tensors of the epoch before are stale once this is sent.
      this.#epoch = epoch
      this.#sendProofs()
      this.#stream.send({ kind: 'rewind', value: rewind })
      if (this.#endedBy !== null) {
        reject(this.#endedBy)
        return
      }
      const late = new ServerFaultError(this.peerId, `did not answer a rewind within ${REWIND_TIMEOUT_MS} ms`)
      const cancel = this.#clock.after(REWIND_TIMEOUT_MS, () => this.#takeRewind(epoch)?.reject(late))
      this.#rewinds.set(epoch, { resolve, reject, cancel })
    })
  }

  /**
   * Resolves when all that was sent is with the stream, or the stream is over.
   *
   * @throws ServerFaultError when the server takes it no faster than it may answer a rewind
   */
  flushed(): Promise<void> {
    const late = new ServerFaultError(this.peerId, `took not all that it was sent within ${REWIND_TIMEOUT_MS} ms`)
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(REWIND_TIMEOUT_MS, () => reject(late))
      void this.#stream.flushed().then(() => {
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
    if (this.#state !== 'open') return null
    this.#sendProofs()
    this.#state = 'closing'
    this.#rejectRewinds(new CancelledError('a rewind'))
    // Close overtakes tensors, and a copy that proves the last step must not be overtaken.
    return this.#sayGoodbye(this.#stream.flushed())
  }

  /** Gives the session up without a word; the listener hears nothing. */
  abort(error: AndthenError): void {
    if (this.#state === 'open') this.#state = 'closing'
    this.#stream.abort(error)
  }

  /** One deadline for all of it: a server that takes nothing is waited for no longer than one that says nothing. */
  async #sayGoodbye(flushed: Promise<void>): Promise<Terminated | null> {
    const lastWord = await new Promise<Terminated | null>(resolve => {
      const cancel = this.#clock.after(CLOSE_TIMEOUT_MS, () => resolve(null))
      this.#onLastWord = terminated => {
        cancel()
        resolve(terminated)
      }
      void flushed.then(() => this.#stream.send({ kind: 'close', value: {} }))
    })
    if (lastWord === null) this.#stream.abort(new ServerFaultError(this.peerId, 'did not end the session'))
    else {
      this.#state = 'ended'
      await this.#stream.close()
    }
    return lastWord
  }

  #onMessage(message: ServerMessage, bytes: number): Uint8Array | null {
    switch (message.kind) {
      case 'output':
        this.#lengths = message.value.lengths
        this.#pushes = message.value.pushes
        return this.#listener.onOutput(message.value, bytes)
      case 'rewound':
        this.#lengths = message.value.lengths
        this.#takeRewind(message.value.epoch)?.resolve(message.value)
        return null
      case 'needCopy':
        this.#listener.onNeedCopy(message.value)
        return null
      case 'mismatch':
        this.#pushes = { ...this.#pushes, mismatched: this.#pushes.mismatched + 1 }
        this.#listener.onMismatch(message.value)
        return null
      case 'terminated':
        this.#lengths = message.value.lengths ?? this.#lengths
        this.#pushes = message.value.pushes ?? this.#pushes
        if (this.#state === 'closing') this.#onLastWord(message.value)
        else this.#stream.abort(new SessionTerminatedError(this.peerId, message.value))
        return null
      case 'error':
        this.#onError(new RemoteError(this.peerId, message.value))
        return null
      case 'opened':
      case 'queued':
      case 'resumed':
        this.#stream.abort(new ServerFaultError(this.peerId, `sent "${message.kind}" in an open session`))
        return null
    }
  }

  #sendProofs(): void {
    this.#stopWaiting?.()
    this.#stopWaiting = null
    for (const verify of this.#proofs.splice(0)) this.#stream.send({ kind: 'verify', value: verify })
  }

  #takeRewind(epoch: number): PendingRewind | undefined {
    const pending = this.#rewinds.get(epoch)
    this.#rewinds.delete(epoch)
    pending?.cancel()
    return pending
  }

  #rejectRewinds(error: AndthenError): void {
    for (const epoch of [...this.#rewinds.keys()]) this.#takeRewind(epoch)?.reject(error)
  }

  /** The server refused something: the session is of no more use, and its place there is wanted by others. */
  #onError(error: AndthenError): void {
    if (this.#state !== 'open') return
    this.#state = 'closing'
    this.#tellEnd(error)
    void this.#sayGoodbye(Promise.resolve())
  }

  #end(error: AndthenError): void {
    const wasOpen = this.#state === 'open'
    this.#state = 'ended'
    this.#stopWaiting?.()
    this.#rejectRewinds(error)
    this.#onLastWord(null)
    if (wasOpen) this.#tellEnd(error)
  }

  #tellEnd(error: AndthenError): void {
    this.#endedBy = error
    this.#rejectRewinds(error)
    this.#listener.onEnd(error)
  }
}
