import type { Session } from '../../../session/index.ts'
import {
  type Lengths,
  notPushedNames,
  type Output,
  type Pushes,
  type Receipt,
  signReceipt,
  Want
} from '../../../wire/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import type { StepRecord } from '../../race/step-record.ts'
import type { ServerComponents } from '../facts.ts'
import type { NextServer, Pushed } from '../push/next-server.ts'
import type { RouteResult } from '../route/delegated-route.ts'
import { type StepNotes, stampsOf } from './step-notes.ts'

/** An output as it is sent, and sent again. */
export interface Answer {
  readonly output: Output
  /** Null where no tensor was wanted. */
  readonly tensor: Uint8Array | null
}

/** What the session stood at when the step was done. */
export interface Standing {
  readonly lengths: Lengths
  readonly pushes: Pushes
  /** The owner has begun a later epoch: what waits to be pushed for this one is of no use. */
  readonly stale: () => boolean
}

export type AnswerComponents = Pick<ServerComponents, 'facts' | 'digest' | 'sign' | 'clock' | 'ledger'>

/** Digests, signs and pushes on what a step computed, in this order, and makes the answer to its owner. */
export function answerStep(
  components: AnswerComponents,
  step: { session: Session; next: NextServer; record: StepRecord<StatesBuffer>; notes: StepNotes },
  standing: Standing
): Answer {
  const { facts, digest, clock, ledger } = components
  const { session, next, record, notes } = step
  const { epoch, position, n, replay } = record
  const { bytes } = notes.output
  const last = record.want === Want.last
  // A copy of the one row: an answer is kept for a while, and should not keep a whole prompt's output with it.
  const sent = last && n > 1 ? bytes.slice(bytes.length - facts.hiddenSize * 4) : bytes
  const outputDigest = digest(
    { boundary: facts.to, position: last ? position + n - 1 : position, n: last ? 1 : n },
    sent
  )
  const inputDigest = record.digest ?? new Uint8Array()
  let receipts: Receipt[] = []
  let pushed: Pushed = { pushKey: new Uint8Array(), reason: 'NO_NEXT' }
  let pushQueuedAt = 0
  if (!replay) {
    const receipt = receiptOf(components, session, record, { inputDigest, outputDigest })
    receipts = [receipt]
    pushed = next.push({ epoch, step: record.step, position, n, digest: outputDigest, receipt }, bytes, standing.stale)
    pushQueuedAt = pushed.reason === 'PUSHED' ? clock.now() : 0
    if (pushed.reason === 'PUSHED') {
      ledger.pushes.sent++
      ledger.bytesOut += bytes.length
    } else if (pushed.reason !== 'NO_NEXT') ledger.pushes.dropped++
  }
  const output: Output = {
    epoch,
    step: record.step,
    position,
    n,
    inputDigest,
    outputDigest,
    lengths: standing.lengths,
    pushed: pushed.pushKey,
    notPushed: notPushedNames.indexOf(pushed.reason),
    receipts,
    stamps: stampsOf(record, notes.timings, pushQueuedAt, clock),
    replay,
    usedPush: record.source === 'push',
    pushes: { ...standing.pushes },
    downstream: []
  }
  return { output, tensor: record.want === Want.none ? null : sent }
}

/** The answer to a step that went on through a delegated route: the last server's result under this one's header. */
export function delegatedAnswer(own: Answer, route: RouteResult, standing: Standing, now: number): Answer {
  const last = route.outputs.at(-1) ?? own.output
  const output: Output = {
    ...own.output,
    outputDigest: last.outputDigest,
    lengths: standing.lengths,
    receipts: [own.output, ...route.outputs].flatMap(({ receipts }) => receipts),
    downstream: route.outputs.map(({ stamps }) => stamps),
    pushes: standing.pushes,
    // What was handed on was handed on when the answer of a plain step would have been queued.
    stamps: { ...own.output.stamps, pushQueued: own.output.stamps.outputQueued, outputQueued: now * 1e6 }
  }
  return { output, tensor: route.tensor }
}

function receiptOf(
  { facts, sign }: AnswerComponents,
  session: Session,
  { epoch, step, position, n }: StepRecord<StatesBuffer>,
  digests: { inputDigest: Uint8Array; outputDigest: Uint8Array }
): Receipt {
  const statement = {
    server: facts.peerId,
    owner: session.owner,
    incarnation: session.incarnation ?? new Uint8Array(),
    modelDigest: facts.modelDigest,
    from: facts.from,
    to: facts.to,
    epoch,
    step,
    position,
    n,
    ...digests
  }
  return signReceipt(statement, sign)
}
