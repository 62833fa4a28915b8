import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { UsageError } from '../../base/index.ts'
import { MeasurementError } from '../errors.ts'
import { type Summary, summarize } from '../statistics.ts'
import { startEcho } from './echo.ts'
import type { Link } from './link.ts'

export interface LinkMeasurement {
  /** D, in ms: half of the median round trip. */
  oneWayMs: number
  roundTripMs: Summary
  messageBytes: number
}

export interface MeasureInit {
  /** Bytes of each echo. @default 64 */
  messageBytes?: number
  /** Echoes, one after the other; at least 41, so that twenty lie on each side of the median. @default 41 */
  echoes?: number
}

const leastEchoes = 41

/**
 * D of a link: bare TCP echoes through the same relay process and the same shape, on a port of their own, so that the
 * link's target need not be there.
 *
 * @param link null: loopback as it is
 * @throws {MeasurementError} when the connection breaks
 */
export async function measureLink(link: Link | null, init: MeasureInit = {}): Promise<LinkMeasurement> {
  const { messageBytes = 64, echoes = leastEchoes } = init
  if (echoes < leastEchoes)
    throw new UsageError(`a link is measured by at least ${leastEchoes} echoes, not by ${echoes}`)
  const echo = await startEcho()
  try {
    const sibling = await link?.sibling(echo)
    const port = sibling?.port ?? echo.port
    const times = await echoTimes(port, Buffer.alloc(messageBytes, 1), echoes).finally(() => sibling?.close())
    const roundTripMs = summarize(times)
    return { oneWayMs: (roundTripMs.p50 ?? Number.NaN) / 2, roundTripMs, messageBytes }
  } catch (error) {
    throw new MeasurementError('the echo through the link broke off: see whether the relay process still runs', {
      cause: error
    })
  } finally {
    await echo.close()
  }
}

async function echoTimes(port: number, message: Buffer, echoes: number): Promise<number[]> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true })
  try {
    await once(socket, 'connect')
    // The first one also waits for the relay's own dial.
    await roundTrip(socket, message)
    const times: number[] = []
    for (let i = 0; i < echoes; i++) times.push(await roundTrip(socket, message))
    return times
  } finally {
    socket.destroy()
  }
}

async function roundTrip(socket: Socket, message: Buffer): Promise<number> {
  const start = performance.now()
  socket.write(message)
  let left = message.length
  while (left > 0) {
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    left -= chunk.length
  }
  return performance.now() - start
}
