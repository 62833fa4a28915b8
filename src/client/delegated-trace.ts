import type { PassTrace } from '../inference/index.ts'
import { readStatement } from '../wire/index.ts'

/**
 * A pass that was delegated, a hop a server: what the later servers did is known from their receipts and stamps, when
 * their answers came is not. Other passes are returned as they are.
 */
export function traceByServer(pass: PassTrace): PassTrace {
  const [first] = pass.hops
  const output = first?.output
  if (first === undefined || output == null || output.downstream.length === 0) return pass
  const hops = output.receipts.map((receipt, i) => {
    const { server, from, to } = readStatement(receipt)
    const stamps = i === 0 ? output.stamps : (output.downstream[i - 1] ?? output.stamps)
    return {
      peerId: server,
      blocks: [from, to] as const,
      sentMs: i === 0 ? first.sentMs : null,
      headerMs: first.headerMs,
      tensorMs: first.tensorMs,
      output: { ...output, stamps, usedPush: i > 1 }
    }
  })
  return { ...pass, pushed: hops.map((_, i) => i > 0), hops, delegated: true }
}

/** Of these passes those over several servers that the client ran itself. */
export function undelegatedPasses(passes: readonly PassTrace[]): number {
  return passes.filter(({ hops, delegated = false }) => hops.length > 1 && !delegated).length
}
