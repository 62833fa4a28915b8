import { isSignedBy, type Receipt, type VerifySignature } from '../../../wire/index.ts'

/** Peers remembered; a forgotten one can forge once more before it is known again. */
const MOST = 1024

/**
 * Peers that pushed what they had not signed. This node knows it, for a push comes by its sender's own connection, and
 * cannot prove it to anybody. So it draws the one sure consequence: nothing of such a peer is used any more, in whichever
 * client's session, before its signature was looked at.
 */
export class Forgers {
  readonly #verify: VerifySignature
  readonly #peers = new Set<string>()

  constructor(components: { readonly verify: VerifySignature }) {
    this.#verify = components.verify
  }

  /** Whether the peer signed this receipt, which came with a push of its own. One that did not is remembered. */
  isSigned(peer: string, receipt: Receipt): boolean {
    if (isSignedBy(peer, receipt, this.#verify)) return true
    this.#peers.delete(peer)
    this.#peers.add(peer)
    const [oldest] = this.#peers.size > MOST ? this.#peers : []
    if (oldest !== undefined) this.#peers.delete(oldest)
    return false
  }

  /** A peer that is remembered has not signed this one either. Of others that is not looked at here. */
  refuses(peer: string, receipt: Receipt): boolean {
    return this.#peers.has(peer) && !this.isSigned(peer, receipt)
  }
}
