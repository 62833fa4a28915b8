import { type AndthenError, type Clock, type Logger, pause, toAndthenError } from '../../base/index.ts'
import { PeerUnreachableError } from '../../network/index.ts'
import type { Resume, Resumed } from '../../wire/index.ts'
import { FRUITLESS_RESUMES, RESUME_WAIT_MS } from './constants.ts'
import { RemoteError } from './errors.ts'
import type { OwnerStream } from './owner-stream.ts'

/** Where the owner stands; the session's id is known to whoever can reconnect. */
export type Standpoint = Omit<Resume, 'id'>

type Adopt = (stream: OwnerStream, resumed: Resumed) => void

/** Opens another stream to the session; `adopt` is called before anything behind `Resumed` is read from it. */
export type Reconnect = (resume: Standpoint, adopt: Adopt, signal: AbortSignal) => Promise<void>

export interface WayBackComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly reconnect: Reconnect
}

export interface WayBackInit {
  readonly peerId: string
  /** For how long to try, ms: asked when a stream is lost. With 0 it is tried once. */
  readonly patienceMs: () => number
}

/** Ways back to a session whose streams are lost, one after the other. */
export class WayBack {
  readonly #components: WayBackComponents
  readonly #init: WayBackInit
  /** Aborted when the session needs no stream any more. */
  readonly #over = new AbortController()
  /** Where the owner stood when it lost a stream last, and how many it has lost just there. */
  #stood: Pick<Standpoint, 'epoch' | 'outputs'> = { epoch: 0, outputs: 0 }
  #lostThere = 0
  #found = Promise.resolve(true)

  constructor(components: WayBackComponents, init: WayBackInit) {
    this.#components = components
    this.#init = init
  }

  /** Whether the session has a stream again; at once, where none was lost. */
  get found(): Promise<boolean> {
    return this.#found
  }

  /**
   * Tries until the server refuses, or nobody listens there any more (what it had is lost with its process), or patience is
   * over, or the server gives nothing but streams. Resolves to whether another stream was adopted.
   */
  find(resume: Standpoint, adopt: Adopt): Promise<boolean> {
    this.#found = this.#find(resume, adopt)
    return this.#found
  }

  /** Whether it is found within `ms`; afterwards it is not looked for any more. */
  foundWithin(ms: number): Promise<boolean> {
    return new Promise(resolve => {
      const cancel = this.#components.clock.after(ms, () => {
        this.giveUp()
        resolve(false)
      })
      void this.#found.then(found => {
        cancel()
        resolve(found)
      })
    })
  }

  giveUp(): void {
    this.#over.abort()
  }

  async #find(resume: Standpoint, adopt: Adopt): Promise<boolean> {
    const { epoch, outputs } = resume
    const { clock, logger, reconnect } = this.#components
    const moved = epoch !== this.#stood.epoch || outputs !== this.#stood.outputs
    this.#lostThere = moved ? 1 : this.#lostThere + 1
    this.#stood = { epoch, outputs }
    if (this.#lostThere > FRUITLESS_RESUMES) return false
    const { signal } = this.#over
    const deadline = clock.now() + this.#init.patienceMs()
    for (let waitMs = RESUME_WAIT_MS.first; ; waitMs = Math.min(RESUME_WAIT_MS.most, 2 * waitMs)) {
      try {
        await reconnect(resume, adopt, signal)
        return true
      } catch (thrown) {
        const error = toAndthenError(thrown)
        if (signal.aborted || isFinal(error) || clock.now() + waitMs >= deadline) {
          const { code, message } = error
          logger.debug({ peer: this.#init.peerId, code, reason: message }, 'a session could not be resumed')
          return false
        }
      }
      await pause(clock, waitMs, signal)
    }
  }
}

function isFinal(error: AndthenError): boolean {
  if (error instanceof PeerUnreachableError && error.reason === 'refused') return true
  return error instanceof RemoteError || !error.retryable
}
