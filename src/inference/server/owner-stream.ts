import { type Clock, type Logger, toAndthenError } from '../../base/index.ts'
import type { PeerStream } from '../../network/index.ts'
import type { SessionTable } from '../../session/index.ts'
import type { MessageHandler, Open, OwnerMessage, Resume } from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import type { SessionLimits } from './facts.ts'
import type { HostedSession } from './hosted/hosted-session.ts'
import { OwnerConnection } from './owner-connection.ts'

/** A stream on which nothing was asked for is not kept, ms. */
const FIRST_MESSAGE_MS = 10_000

export interface OwnerStreamComponents {
  readonly clock: Clock
  readonly logger: Logger
  readonly limits: SessionLimits
  readonly table: SessionTable
  /** What the first message asks for; both throw where it is refused. */
  readonly open: (open: Open, connection: OwnerConnection) => HostedSession
  readonly resume: (resume: Resume, connection: OwnerConnection) => HostedSession
}

/** One stream of the inference protocol: its first message says which session it speaks for, and the rest is for that. */
export function serveOwner(components: OwnerStreamComponents, stream: PeerStream): void {
  let hosted: HostedSession | null = null
  let streamNumber = 0
  const { limits, clock, logger, table } = components
  const giveUp = clock.after(FIRST_MESSAGE_MS, () =>
    connection.fail(new RequestError('BAD_REQUEST', `nothing was asked for in ${FIRST_MESSAGE_MS} ms`))
  )
  const begin = (message: OwnerMessage): void => {
    giveUp()
    try {
      if (message.kind === 'open') hosted = components.open(message.value, connection)
      else if (message.kind === 'resume') hosted = components.resume(message.value, connection)
      else throw new RequestError('BAD_REQUEST', `a stream begins with open or resume, not ${message.kind}`)
      streamNumber = hosted.session.connection
    } catch (thrown) {
      connection.fail(toAndthenError(thrown))
    }
  }
  const handler: MessageHandler<OwnerMessage> = {
    onMessage: (message, bytes) => {
      if (hosted === null) {
        begin(message)
        return null
      }
      table.touch(hosted.session)
      return dispatch(hosted, message, bytes, table)
    },
    onTensor: (message, tensor) => {
      if (message.kind === 'step') hosted?.onCopy(message.value, tensor)
    }
  }
  const connection: OwnerConnection = new OwnerConnection(
    { stream, handler, clock, logger },
    {
      maxTensorBytes: limits.creditBytes,
      onClose: () => {
        giveUp()
        if (hosted === null) return
        if (hosted.replies.connection === connection) hosted.replies.connection = null
        table.connectionLost(hosted.session, streamNumber)
      },
      onSlow: () => {
        hosted?.endFor(new RequestError('SLOW_READER', 'answers wait unread: read faster, or ask for less at once'))
      }
    }
  )
}

/** Returns where the message's `bytes` of tensor go, or null to read past them. */
function dispatch(hosted: HostedSession, message: OwnerMessage, bytes: number, table: SessionTable): Uint8Array | null {
  switch (message.kind) {
    case 'step':
      return hosted.onStep(message.value, bytes)
    case 'verify':
      hosted.onVerify(message.value.epoch, message.value.step, message.value.digest)
      return null
    case 'rewind':
      hosted.onRewind(message.value)
      return null
    case 'close':
      void finish(hosted, table)
      return null
    case 'keepAlive':
      return null
    case 'open':
    case 'resume':
      hosted.replies.connection?.fail(new RequestError('BAD_REQUEST', `${message.kind} on a stream that has a session`))
      return null
  }
}

/** The owner has said goodbye. The last counts of its route are for it to know. */
async function finish({ session, route }: HostedSession, table: SessionTable): Promise<void> {
  await route?.close()
  await table.end(session, 'END')
}
