import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ackBytes, requestBytes, RequestReader } from '../../../src/bench/soak/ledger-protocol.ts'

const request = fc.record({ id: fc.nat(2 ** 32 - 1), payload: fc.uint8Array({ maxLength: 200 }) })

it('requests are put together again, however they are cut', () => {
  fc.assert(
    fc.property(fc.array(request, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 40 })), (requests, cuts) => {
      const seen: { id: number; payload: number[] }[] = []
      const reader = new RequestReader(({ id, payload }) => seen.push({ id, payload: [...payload] }))
      let left = Buffer.concat(requests.flatMap(requestBytes))
      for (let i = 0; left.length > 0; i++) {
        const cut = cuts[i] ?? left.length
        reader.push(left.subarray(0, cut))
        left = left.subarray(cut)
      }
      expect(seen).toEqual(requests.map(({ id, payload }) => ({ id, payload: [...payload] })))
    })
  )
})

it('an acknowledgement is of this request, and of no other payload', () => {
  fc.assert(
    fc.property(request, fc.nat(), ({ id, payload }, at) => {
      const ack = ackBytes({ id, payload })
      expect(ack.readUInt32BE(0)).toBe(id)
      if (payload.length === 0) return
      const changed = Uint8Array.from(payload)
      changed[at % changed.length]! ^= 1
      expect(ackBytes({ id, payload: changed }).equals(ack)).toBe(false)
    })
  )
})
