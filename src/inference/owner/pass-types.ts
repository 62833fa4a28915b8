import type { AndthenError } from '../../base/index.ts'
import type { Mismatch, Output, VerifyPolicyName, WantName } from '../../wire/index.ts'

/** One server of a chain, in one epoch. */
export interface ChainServer {
  readonly peerId: string
  /** Blocks `from` to `to - 1`. */
  readonly from: number
  readonly to: number
  /** Of the session there; whoever pushes into it names it. */
  readonly pushKey: Uint8Array
  /** Its input is pushed by the server before it; false: all its inputs come from the client. Always false for the first. */
  readonly pushed: boolean
}

/** Tokens that go through the whole chain together. */
export interface PassInput {
  /** Position of the first token. */
  readonly position: number
  readonly n: number
  /** Hidden states that enter the first block, float32 [n, hidden]. */
  readonly input: Uint8Array
  /** What is wanted of the last server. */
  readonly want: Extract<WantName, 'last' | 'none'>
}

/** A step as it is sent: `want` by name, epoch added by the sender. */
export interface StepRequest {
  readonly step: number
  readonly position: number
  readonly n: number
  readonly want: WantName
}

/** Who is to blame, as far as can be told. */
export type Fault =
  /** The server failed, or contradicts itself. */
  | { readonly kind: 'server'; readonly server: number; readonly error: AndthenError }
  /**
   * What the downstream server says it was pushed is not what the upstream one says it computed. `output` is what the
   * upstream told the client; `mismatch` what the downstream says, where it said anything yet.
   */
  | {
      readonly kind: 'mismatch'
      readonly upstream: number
      readonly downstream: number
      readonly step: number
      readonly output: Output | null
      readonly mismatch: Mismatch | null
    }

/** What the shell must do, in this order. */
export type PassEffect =
  /** Ask a server for a step; bytes null: a push brings them. The same step with bytes, sent again, is its copy. */
  | { readonly kind: 'step'; readonly server: number; readonly request: StepRequest; readonly bytes: Uint8Array | null }
  | { readonly kind: 'verify'; readonly server: number; readonly step: number; readonly digest: Uint8Array }
  /** The pass's result counts: its digests chain (or nothing is verified). Passes come in order. */
  | { readonly kind: 'emit'; readonly step: number; readonly tensor: Uint8Array | null }
  /** Nothing of the pass is under way any more: every boundary's inputs are kept. Passes come in order, after `emit`. */
  | { readonly kind: 'retire'; readonly step: number }
  /** The epoch is over: no effect follows, whatever comes. */
  | { readonly kind: 'fault'; readonly fault: Fault }

export interface WaitingFor {
  readonly step: number
  readonly server: number
  /** The last server has answered already: this one only keeps its header back. */
  readonly overtaken: boolean
}

export interface PassesInit {
  readonly servers: readonly ChainServer[]
  readonly verify: VerifyPolicyName
  /**
   * A result counts only with the header of every server, though nothing be verified: their receipts are wanted.
   * @default false
   */
  readonly withReceipts?: boolean | undefined
  /** Bytes of one token's hidden states. */
  readonly rowBytes: number
  /** Nothing waits to be sent to this server: `auto` sends a copy then. */
  readonly uplinkIdle: (server: number) => boolean
}
