import { type AndthenError, CancelledError, type Clock, TimeoutError } from '../../base/index.ts'
import type { PeerStream } from '../../network/index.ts'
import type { Outgoing, OwnerMessage, ServerMessage } from '../../wire/index.ts'
import { RemoteError, ServerFaultError, SessionTerminatedError } from './errors.ts'
import { OwnerStream } from './owner-stream.ts'

export interface BeginStreamInit {
  /** For the answer, and again for each sign of life from a server's backlog, ms. */
  readonly timeoutMs: number
  /** Bytes of the longest output that will be asked for. */
  readonly maxTensorBytes: number
  /** What is being done, for the errors. */
  readonly phase: string
  /** The server keeps the request in its backlog; called again with each sign of life. */
  readonly onQueued?: (() => void) | undefined
}

/**
 * Says the first message on a stream and waits for its answer.
 *
 * @param accept makes of the answer what is wanted, and takes the stream over before anything else is read from it;
 * undefined: this is no answer
 * @throws RemoteError with the server's code, SessionTerminatedError, ServerFaultError, ConnectionLostError, TimeoutError,
 * CancelledError
 */
export function beginStream<T extends object>(
  peerStream: PeerStream,
  first: Outgoing<OwnerMessage>,
  accept: (answer: ServerMessage, stream: OwnerStream) => T | undefined,
  components: { clock: Clock },
  init: BeginStreamInit,
  signal?: AbortSignal
): Promise<T> {
  const { clock } = components
  const { timeoutMs, phase, onQueued } = init
  return new Promise((resolve, reject) => {
    const onTimeout = (): void => stream.abort(new TimeoutError(phase, timeoutMs, { details: { peer } }))
    // With a word, for a server may have granted by now what nobody wants any more, and would keep it for a while.
    const onAbort = (): void => {
      stream.send({ kind: 'close', value: {} })
      void stream.close()
      onEnd(new CancelledError(phase))
    }
    let cancel = clock.after(timeoutMs, onTimeout)
    const settle = (): void => {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
    const onEnd = (error: AndthenError): void => {
      settle()
      reject(error)
    }
    const onMessage = (message: ServerMessage): null => {
      const accepted = accept(message, stream)
      if (accepted !== undefined) {
        settle()
        resolve(accepted)
      } else if (message.kind === 'queued' && first.kind === 'open') {
        cancel()
        cancel = clock.after(timeoutMs, onTimeout)
        onQueued?.()
      } else stream.abort(refusal(message, peer, phase))
      return null
    }
    const stream = new OwnerStream(peerStream, { onMessage, onTensor: () => undefined, onEnd, onLost: onEnd }, init)
    const peer = stream.peerId
    stream.send(first)
    signal?.addEventListener('abort', onAbort, { once: true })
    if (signal?.aborted === true) onAbort()
  })
}

function refusal(message: ServerMessage, peer: string, phase: string): AndthenError {
  if (message.kind === 'error') return new RemoteError(peer, message.value)
  if (message.kind === 'terminated') return new SessionTerminatedError(peer, message.value)
  return new ServerFaultError(peer, `sent "${message.kind}" in answer to ${phase}`)
}
