import {
  equalBytes,
  isSignedByServer,
  type Output,
  readStatement,
  type VerifySignature,
  WireError
} from '../../wire/index.ts'

/** What the receipts of a delegated step must agree with. */
export interface RouteExpectation {
  readonly modelDigest: Uint8Array
  /** Peer id of the client, who owns the session on the first server; that server owns the others. */
  readonly owner: string
  readonly servers: readonly { readonly peerId: string; readonly from: number; readonly to: number }[]
}

/**
 * What is wrong with the receipts of a step that was delegated; null when every server of the route signed that it
 * computed this step, each from what the one before it computed. Under delegate the client hears of the later servers
 * only through the first, so here, and only here, signatures are checked before a token counts.
 */
export function checkRoute(output: Output, expected: RouteExpectation, verify: VerifySignature): string | null {
  const { servers } = expected
  const { receipts } = output
  if (receipts.length !== servers.length)
    return `sent ${receipts.length} receipts of a route of ${servers.length} servers`
  let input = output.inputDigest
  for (const [i, receipt] of receipts.entries()) {
    const server = servers[i]
    if (server === undefined) return 'sent more receipts than the route has servers'
    try {
      const said = readStatement(receipt)
      const owner = i === 0 ? expected.owner : servers[0]?.peerId
      const names =
        said.server === server.peerId &&
        said.owner === owner &&
        said.from === server.from &&
        said.to === server.to &&
        said.position === output.position &&
        said.n === output.n &&
        equalBytes(said.modelDigest, expected.modelDigest) &&
        equalBytes(said.inputDigest, input)
      if (!names) return `sent a receipt of ${server.peerId} that does not fit into the route`
      if (!isSignedByServer(receipt, verify)) return `sent a receipt that ${server.peerId} did not sign`
      input = said.outputDigest
    } catch (thrown) {
      if (thrown instanceof WireError) return `sent a receipt that does not decode: ${thrown.message}`
      throw thrown
    }
  }
  return equalBytes(input, output.outputDigest)
    ? null
    : 'sent hidden states that the last server of the route did not sign'
}
