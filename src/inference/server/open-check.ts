import { Codec, equalBytes, KEY_BYTES, type Open, PROTOCOL_VERSION, toHex } from '../../wire/index.ts'
import { RequestError } from '../errors.ts'
import type { SpanFacts } from './facts.ts'
import { checkRoute } from './route/route-check.ts'

/**
 * Whether this node serves what is asked for.
 *
 * @param delegateBytes of hidden states that one session may have sent on
 * @throws RequestError saying what it serves instead
 */
export function checkOpen(open: Open, facts: SpanFacts, delegateBytes: number): void {
  if (open.version !== PROTOCOL_VERSION)
    throw new RequestError('VERSION', `protocol version ${open.version}; this node speaks ${PROTOCOL_VERSION}`)
  if (!equalBytes(open.modelDigest, facts.modelDigest))
    throw new RequestError('MODEL_MISMATCH', 'this node serves another model, or other weights of it', {
      details: { modelDigest: toHex(facts.modelDigest) }
    })
  if (open.from !== facts.from || open.to !== facts.to)
    throw new RequestError(
      'BLOCKS_NOT_SERVED',
      `blocks ${open.from}-${open.to}; this node serves ${facts.from}-${facts.to}`
    )
  if (open.maxLength > facts.maxLength)
    throw new RequestError(
      'LENGTH_EXCEEDED',
      `a session of ${open.maxLength} tokens; this node holds ${facts.maxLength} at most`
    )
  if (open.codec !== Codec.f32) throw new RequestError('CODEC', `codec ${open.codec}; this node speaks f32`)
  if (open.id.length !== KEY_BYTES)
    throw new RequestError('BAD_REQUEST', `a session id of ${open.id.length} bytes, not ${KEY_BYTES}`)
  if (open.route !== null) checkRoute(open.route, facts.to, delegateBytes)
}
