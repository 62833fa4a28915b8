import type { Connection } from '@libp2p/interface'
import { type Clock, systemClock } from '../base/index.ts'
import { withDeadline } from './deadline.ts'

/**
 * The protocol by which a peer says that it is about to close a connection on which nothing happens. The stream itself
 * is the message, and carries no byte: opening it says "I open no more streams here, and close when those that are open
 * have ended"; closing it answers "nor do I". Streams of one connection keep their order, so when the answer is there,
 * every stream that the answerer opened before has arrived too, and no request is lost to the closing. (yamux's own GOAWAY
 * ends the streams that are open at once, so it comes only last of all.)
 */
export const GOAWAY_PROTOCOL = '/andthen/goaway/1.0.0'

/** Says GOAWAY and waits for the answer. A peer that does not know the protocol has nothing to say to it. */
export async function sayGoAway(connection: Connection, limitMs: number, clock: Clock = systemClock): Promise<void> {
  await withDeadline({ phase: 'goaway', limitMs, clock }, async signal => {
    const stream = await connection.newStream(GOAWAY_PROTOCOL, { signal, runOnLimitedConnection: true })
    await new Promise<void>(resolve => {
      stream.addEventListener('remoteCloseWrite', () => resolve(), { once: true })
      stream.addEventListener('close', () => resolve(), { once: true })
      if (stream.status !== 'open' || stream.remoteWriteStatus === 'closed') resolve()
    })
    await stream.close({ signal })
  })
}
