import type { AndthenError } from '../../base/index.ts'
import type { Mismatch, NeedCopy, Output } from '../../wire/index.ts'

/** What a server says in a session, as it comes. */
export interface SessionListener {
  /** An output's header; `bytes` of tensor follow (0: none). Returns where they go, or null to read past them. */
  onOutput(output: Output, bytes: number): Uint8Array | null
  /** The tensor of that output is whole. */
  onTensor(output: Output, tensor: Uint8Array): void
  onNeedCopy(request: NeedCopy): void
  onMismatch(mismatch: Mismatch): void
  /** The connection was lost, and is back: what was under way goes on. */
  onResumed?(): void
  /** The session is over, though it was not closed or aborted from here; the last call. */
  onEnd(error: AndthenError): void
}

/** Of a session that nobody listens to. */
export const unheard: SessionListener = {
  onOutput: () => null,
  onTensor: () => undefined,
  onNeedCopy: () => undefined,
  onMismatch: () => undefined,
  onEnd: () => undefined
}
