import {
  equalBytes,
  isSignedBy,
  type Output,
  readStatement,
  type Statement,
  type VerifySignature,
  WireError
} from '../../wire/index.ts'

/** What the receipts of delegated steps must agree with. */
export interface RouteExpectation {
  readonly modelDigest: Uint8Array
  /** Peer id of the client, who owns the session on the first server; that server owns the others. */
  readonly owner: string
  /** Of the session on the first server. */
  readonly incarnation: Uint8Array
  readonly servers: readonly { readonly peerId: string; readonly from: number; readonly to: number }[]
}

/** What a server of the route said last. */
type Said = Pick<Statement, 'incarnation' | 'epoch' | 'step'>

/**
 * Checks the receipts of the steps of one route, in the order of its answers: what is wrong with them, or null when every
 * server of the route signed that it computed this step, each from what the one before it computed, and in one session
 * from which no step was shown before. Under delegate the client hears of the later servers only through the first, so
 * here, and only here, signatures are checked before a token counts.
 */
export function createRouteCheck(
  expected: RouteExpectation,
  verify: VerifySignature
): (output: Output) => string | null {
  const { servers, modelDigest } = expected
  let before: readonly Said[] = []

  const fits = (said: Statement, i: number, output: Output, input: Uint8Array): boolean => {
    const server = servers[i]
    const last = before[i]
    // The first server numbers steps as the client does; how it numbers those of the others is its own affair.
    const isOfThisStep =
      i === 0
        ? said.epoch === output.epoch && said.step === output.step && equalBytes(said.incarnation, expected.incarnation)
        : last === undefined || (equalBytes(said.incarnation, last.incarnation) && isLater(said, last))
    return (
      isOfThisStep &&
      said.server === server?.peerId &&
      said.owner === (i === 0 ? expected.owner : servers[0]?.peerId) &&
      said.from === server.from &&
      said.to === server.to &&
      said.position === output.position &&
      said.n === output.n &&
      equalBytes(said.modelDigest, modelDigest) &&
      equalBytes(said.inputDigest, input)
    )
  }

  return output => {
    const { receipts } = output
    if (receipts.length !== servers.length)
      return `sent ${receipts.length} receipts of a route of ${servers.length} servers`
    const statements: Statement[] = []
    let input = output.inputDigest
    for (const [i, receipt] of receipts.entries()) {
      const peerId = servers[i]?.peerId ?? ''
      try {
        const said = readStatement(receipt)
        if (!fits(said, i, output, input)) return `sent a receipt of ${peerId} that does not fit into the route`
        if (!isSignedBy(peerId, receipt, verify)) return `sent a receipt that ${peerId} did not sign`
        statements.push(said)
        input = said.outputDigest
      } catch (thrown) {
        if (thrown instanceof WireError) return `sent a receipt that does not decode: ${thrown.message}`
        throw thrown
      }
    }
    if (!equalBytes(input, output.outputDigest))
      return 'sent hidden states that the last server of the route did not sign'
    before = statements
    return null
  }
}

function isLater(said: Said, last: Said): boolean {
  return said.epoch > last.epoch || (said.epoch === last.epoch && said.step > last.step)
}
