import type { AndthenError, Logger } from '../base/index.ts'
import { RemoteError } from '../inference/index.ts'
import type { EquivocationProof, VerifySignature } from '../wire/index.ts'
import { busyFor } from './busy.ts'
import { type Evidence, type Verdict, weigh } from './evidence.ts'
import type { Standing } from './standing.ts'

/** Two neighbours, as peer ids. */
export interface Neighbours {
  readonly upstream: string
  readonly downstream: string
}

/** Holds against servers what they can be shown to have done, and keeps the proofs. */
export class Judge {
  readonly proofs: EquivocationProof[] = []
  readonly #standing: Standing
  readonly #logger: Logger
  readonly #verify: VerifySignature

  constructor(components: { standing: Standing; logger: Logger; verify: VerifySignature }) {
    this.#standing = components.standing
    this.#logger = components.logger
    this.#verify = components.verify
  }

  /**
   * A server failed.
   *
   * @param servers of the chain, in order: under delegate the first says which of the others failed, or which two disagree
   */
  failed(peerId: string, error: AndthenError, servers: readonly { readonly peerId: string }[]): void {
    const { peer } = error.details
    if (error instanceof RemoteError && error.code === 'ROUTE_MISMATCH') {
      const at = servers.findIndex(server => server.peerId === peer)
      const [upstream, downstream] = [servers[at], servers[at + 1]]
      const [told = null, pushed = null] = error.receipts
      if (at > 0 && upstream !== undefined && downstream !== undefined)
        return this.#hear({ upstream: upstream.peerId, downstream: downstream.peerId }, { told, pushed })
    }
    const blamed = error.code === 'ROUTE_FAILED' && typeof peer === 'string' ? peer : peerId
    this.#logger.warn({ peer: blamed, code: error.code, reason: error.message }, 'a server failed')
    if (blamed !== peerId && busyFor(error) === null) this.#standing.apart(peerId, blamed)
    this.#standing.failed(blamed, error)
  }

  /** What the upstream server pushed is not what it told the client, or the downstream one says so. */
  disagreed(names: Neighbours, evidence: Evidence): void {
    this.#hold(names, weigh(evidence, names, this.#verify))
  }

  /** As told by a third server: only a proof cannot be made up. */
  #hear(names: Neighbours, evidence: Evidence): void {
    const verdict = weigh(evidence, names, this.#verify)
    this.#hold(names, verdict.kind === 'proof' ? verdict : { kind: 'undecided' })
  }

  #hold(names: Neighbours, verdict: Verdict): void {
    this.#logger.warn({ ...names, verdict: verdict.kind }, 'what was pushed is not what was computed')
    switch (verdict.kind) {
      case 'proof':
        this.proofs.push(verdict.proof)
        this.#standing.ban(verdict.proof.server)
        return
      case 'fault':
        this.#standing.relay(names.upstream, names.downstream)
        this.#standing.failed(verdict.peerId, verdict.error)
        return
      case 'undecided':
        this.#standing.mismatch(names.upstream, names.downstream)
    }
  }
}
