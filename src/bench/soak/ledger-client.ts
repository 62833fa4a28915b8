import { ConnectionLostError, type Network, type PeerStream } from '../../network/index.ts'
import { TimeoutError } from '../../base/index.ts'
import { ACK_BYTES, ackBytes, LEDGER_PROTOCOL, type LedgerRequest, requestBytes } from './ledger-protocol.ts'

/**
 * Sends the requests on one stream, and tells of each that is acknowledged. Resolves when all are.
 *
 * @throws what broke the stream, TimeoutError
 */
export async function callLedger(
  network: Network,
  address: string,
  requests: readonly LedgerRequest[],
  options: { timeoutMs: number; onAck: (id: number) => void }
): Promise<void> {
  const stream = await network.openStream(address, LEDGER_PROTOCOL, { timeoutMs: options.timeoutMs })
  const late = new TimeoutError('an acknowledgement', options.timeoutMs)
  const timer = setTimeout(() => stream.abort(late), options.timeoutMs)
  try {
    const acknowledged = allAcks(stream, requests, options.onAck)
    for (const request of requests) stream.send(requestBytes(request))
    await acknowledged
  } finally {
    clearTimeout(timer)
    void stream.close()
  }
}

function allAcks(stream: PeerStream, requests: readonly LedgerRequest[], onAck: (id: number) => void): Promise<void> {
  const expected = requests.map(request => ackBytes(request))
  let held = Buffer.alloc(0)
  let next = 0
  return new Promise((resolve, reject) => {
    stream.onClose = error =>
      reject(error ?? new ConnectionLostError(stream.remotePeer, 'it closed before all was acknowledged'))
    stream.onData = chunk => {
      held = Buffer.concat([held, chunk])
      for (; held.length >= ACK_BYTES; held = held.subarray(ACK_BYTES)) {
        // Other bytes than were sent, or another order, is not what a network may make of them.
        if (expected[next]?.equals(held.subarray(0, ACK_BYTES)) !== true)
          return stream.abort(new Error(`request ${requests[next]?.id} was acknowledged as another`))
        onAck(requests[next++]?.id ?? 0)
      }
      if (next === requests.length) resolve()
    }
  })
}
