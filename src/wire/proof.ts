import { toHex } from './digest.ts'
import { z } from 'zod'
import { AndthenError } from '../base/index.ts'
import { WireError } from './errors.ts'
import type { Receipt, Statement } from './message-parts.ts'
import {
  type EquivocationProof,
  findEquivocation,
  isSignedByServer,
  readStatement,
  type VerifySignature
} from './receipt.ts'

const PROOF_SCHEMA = 'andthen.proof/1'

const receiptSchema = z.object({ statement: z.base64(), signature: z.base64() })
const readableSchema = z.record(z.string(), z.union([z.string(), z.number()]))
const proofSchema = z.object({
  schema: z.literal(PROOF_SCHEMA),
  server: z.string(),
  epoch: z.number(),
  step: z.number(),
  receipts: z.tuple([receiptSchema, receiptSchema]),
  statements: z.tuple([readableSchema, readableSchema])
})

/**
 * A proof of equivocation as JSON: the two receipts in base64, which are the proof, and what they say, for people (bytes
 * in hex).
 */
export type PortableProof = z.infer<typeof proofSchema>

/** A document that proves nothing; the message says why. */
export class NoProofError extends AndthenError {
  override readonly name = 'NoProofError'
  constructor(message: string) {
    super('NO_PROOF', message)
  }
}

export function portableProof({ server, epoch, step, receipts: [a, b] }: EquivocationProof): PortableProof {
  return {
    schema: PROOF_SCHEMA,
    server,
    epoch,
    step,
    receipts: [inBase64(a), inBase64(b)],
    statements: [readable(readStatement(a)), readable(readStatement(b))]
  }
}

/** What a document was found to prove. */
export interface Proven extends EquivocationProof {
  readonly statements: readonly [Statement, Statement]
  /** Fields in which the two statements differ; none where they are one statement encoded in two ways. */
  readonly differing: readonly (keyof Statement)[]
}

/**
 * Checks a document from anywhere: the receipts alone decide, but what stands beside them must be what they say.
 *
 * @throws NoProofError
 */
export function checkProof(document: unknown, verify: VerifySignature): Proven {
  const parsed = proofSchema.safeParse(document)
  if (!parsed.success) throw new NoProofError(`it is no ${PROOF_SCHEMA} document: ${whereOf(parsed.error)}`)
  const { receipts: texts, statements: shown, ...named } = parsed.data
  const receipts: [Receipt, Receipt] = [fromBase64(texts[0]), fromBase64(texts[1])]
  const statements: [Statement, Statement] = [read(receipts[0], 'first'), read(receipts[1], 'second')]
  const proof = findEquivocation(...receipts, verify)
  if (proof === null) throw new NoProofError(whyNot(receipts, statements, verify))
  const isShown = statements.every((statement, i) => isSame(readable(statement), shown[i]))
  if (!isShown || named.server !== proof.server || named.epoch !== proof.epoch || named.step !== proof.step)
    throw new NoProofError('what it shows is not what its receipts say')
  return { ...proof, statements, differing: differing(...statements) }
}

function whyNot(receipts: readonly Receipt[], [a, b]: [Statement, Statement], verify: VerifySignature): string {
  for (const field of ['server', 'incarnation', 'epoch', 'step'] as const)
    if (differing(a, b).includes(field)) return `the two receipts name different ${field}s, so both may be true`
  const forged = receipts.findIndex(receipt => !isSignedByServer(receipt, verify))
  if (forged === -1) return 'the two receipts say the same'
  return `the ${forged === 0 ? 'first' : 'second'} receipt is not signed by ${a.server}, whom it names`
}

function read(receipt: Receipt, which: string): Statement {
  try {
    return readStatement(receipt)
  } catch (thrown) {
    if (thrown instanceof WireError) throw new NoProofError(`its ${which} receipt does not decode: ${thrown.message}`)
    throw thrown
  }
}

function differing(a: Statement, b: Statement): (keyof Statement)[] {
  const [one, other] = [readable(a), readable(b)]
  return (Object.keys(a) as (keyof Statement)[]).filter(field => one[field] !== other[field])
}

function readable(statement: Statement): Record<string, string | number> {
  const fields = Object.entries(statement) as [string, string | number | Uint8Array][]
  return Object.fromEntries(fields.map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : value]))
}

function isSame(said: Record<string, string | number>, shown: Record<string, string | number> | undefined): boolean {
  if (shown === undefined || Object.keys(shown).length !== Object.keys(said).length) return false
  return Object.entries(said).every(([name, value]) => shown[name] === value)
}

function whereOf({ issues: [issue] }: z.ZodError): string {
  if (issue === undefined) return 'it has another form'
  const path = issue.path.join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}

const inBase64 = ({ statement, signature }: Receipt): { statement: string; signature: string } => ({
  statement: Buffer.from(statement).toString('base64'),
  signature: Buffer.from(signature).toString('base64')
})

const fromBase64 = (receipt: { statement: string; signature: string }): Receipt => ({
  statement: Buffer.from(receipt.statement, 'base64'),
  signature: Buffer.from(receipt.signature, 'base64')
})
