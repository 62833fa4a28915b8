import { PROTOCOL_VERSION } from './constants.ts'
import { equalBytes } from './digest.ts'
import { WireError } from './errors.ts'
import type { Receipt, Statement } from './message-parts.ts'
import { statementMessage } from './schema.ts'

const DOMAIN = Buffer.from('andthen receipt v1\n', 'latin1')

/** Signs with the node's own Ed25519 key. */
export type Sign = (bytes: Uint8Array) => Uint8Array
/** Whether `signature` is that of the peer over `bytes`. False for a peer id that holds no Ed25519 key. */
export type VerifySignature = (peerId: string, bytes: Uint8Array, signature: Uint8Array) => boolean

export function signReceipt(statement: Omit<Statement, 'version'>, sign: Sign): Receipt {
  const bytes = statementMessage.encode({ ...statement, version: PROTOCOL_VERSION })
  return { statement: bytes, signature: sign(Buffer.concat([DOMAIN, bytes])) }
}

/** @throws WireError FRAME_MALFORMED */
export function readStatement(receipt: Receipt): Statement {
  const statement = statementMessage.decode(receipt.statement)
  if (statement.version !== PROTOCOL_VERSION)
    throw new WireError(
      'FRAME_MALFORMED',
      `a receipt of version ${statement.version}; ${PROTOCOL_VERSION} is understood`
    )
  return statement
}

/** Whether this server signed the receipt; who is to have signed it is in its statement. */
export function isSignedBy(server: string, receipt: Receipt, verify: VerifySignature): boolean {
  return verify(server, Buffer.concat([DOMAIN, receipt.statement]), receipt.signature)
}

/** Whether the receipt was signed by the server that its statement names. */
export function isSignedByServer(receipt: Receipt, verify: VerifySignature): boolean {
  return isSignedBy(readStatement(receipt).server, receipt, verify)
}

/** Two receipts of one server for one step of one incarnation that say different things. */
export interface EquivocationProof {
  server: string
  epoch: number
  step: number
  receipts: [Receipt, Receipt]
}

/**
 * A proof where the two receipts are validly signed by one server, name the same incarnation, epoch and step, and
 * differ; else null. What the two say decides nothing else: an honest server signs a step once an epoch.
 */
export function findEquivocation(a: Receipt, b: Receipt, verify: VerifySignature): EquivocationProof | null {
  const [first, second] = [readStatement(a), readStatement(b)]
  const sameStep =
    first.server === second.server &&
    equalBytes(first.incarnation, second.incarnation) &&
    first.epoch === second.epoch &&
    first.step === second.step
  if (!sameStep || equalBytes(a.statement, b.statement)) return null
  if (![a, b].every(receipt => isSignedBy(first.server, receipt, verify))) return null
  return { server: first.server, epoch: first.epoch, step: first.step, receipts: [a, b] }
}
