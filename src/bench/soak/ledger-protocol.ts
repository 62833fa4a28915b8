/** Requests and their acknowledgements, in the plainest form: what is tried is the network beneath. */
export const LEDGER_PROTOCOL = '/andthen/soak-ledger/1.0.0'

export interface LedgerRequest {
  readonly id: number
  readonly payload: Uint8Array
}

const HEADER_BYTES = 8
export const ACK_BYTES = 8

/** `id, length` as 32-bit integers, then the payload. */
export function requestBytes({ id, payload }: LedgerRequest): Uint8Array[] {
  const header = Buffer.alloc(HEADER_BYTES)
  header.writeUInt32BE(id, 0)
  header.writeUInt32BE(payload.length, 4)
  return [header, payload]
}

/** The id, and a sum over the payload: that all of it came, and as it was sent. */
export function ackBytes({ id, payload }: LedgerRequest): Buffer {
  const ack = Buffer.alloc(ACK_BYTES)
  ack.writeUInt32BE(id, 0)
  ack.writeUInt32BE(sumOf(payload), 4)
  return ack
}

/** FNV-1a, 32 bits. */
function sumOf(payload: Uint8Array): number {
  let sum = 0x811c9dc5
  for (const byte of payload) sum = Math.imul(sum ^ byte, 0x01000193)
  return sum >>> 0
}

/** Puts requests together again, however they are cut. */
export class RequestReader {
  readonly #onRequest: (request: LedgerRequest) => void
  #held: Buffer = Buffer.alloc(0)

  constructor(onRequest: (request: LedgerRequest) => void) {
    this.#onRequest = onRequest
  }

  push(chunk: Uint8Array): void {
    this.#held = Buffer.concat([this.#held, chunk])
    while (this.#held.length >= HEADER_BYTES) {
      const end = HEADER_BYTES + this.#held.readUInt32BE(4)
      if (this.#held.length < end) return
      this.#onRequest({ id: this.#held.readUInt32BE(0), payload: this.#held.subarray(HEADER_BYTES, end) })
      this.#held = this.#held.subarray(end)
    }
  }
}
