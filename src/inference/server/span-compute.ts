import type { Clock } from '../../base/index.ts'
import type { SpanRunner } from '../../runtime/index.ts'
import {
  type Batch,
  type BatchingPolicy,
  ComputeLane,
  type ComputeLaneInit,
  Scheduler,
  type Work
} from '../../session/index.ts'

/** Consecutive tokens of one session on their way through the span. */
export interface SpanWork extends Work {
  readonly position: number
  /** float32 [tokens, hidden] */
  readonly input: Float32Array
  /** float32 [tokens, hidden] */
  readonly output: Float32Array
}

/** The lane that all sessions' runs go through, over the runner of this node's span. */
export function createSpanLane(
  components: { clock: Clock; runner: SpanRunner },
  init: ComputeLaneInit & { policy: BatchingPolicy }
): ComputeLane<SpanWork> {
  const { clock, runner } = components
  const scheduler = new Scheduler<SpanWork>({ policy: init.policy, chunkTokens: runner.chunkTokens })
  return new ComputeLane({ clock, scheduler, run: (batch, { signal }) => runBatch(runner, batch, signal) }, init)
}

function runBatch(runner: SpanRunner, batch: Batch<SpanWork>, signal: AbortSignal): Promise<void> {
  if (batch.kind === 'decode') return runner.decode(batch.works, { signal })
  const { work, offset, tokens } = batch
  const [from, to] = [offset * runner.hiddenSize, (offset + tokens) * runner.hiddenSize]
  return runner.prefill(
    {
      slot: work.slot,
      position: work.position + offset,
      input: work.input.subarray(from, to),
      output: work.output.subarray(from, to)
    },
    { signal }
  )
}
