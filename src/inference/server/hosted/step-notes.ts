import { randomBytes } from 'node:crypto'
import type { Clock } from '../../../base/index.ts'
import type { RunTimings } from '../../../session/index.ts'
import type { Stamps } from '../../../wire/index.ts'
import type { StatesBuffer } from '../../buffers.ts'
import type { StepRecord } from '../../race/step-record.ts'

/** Tells a client that two stamps are of one clock; new per process. */
const clockId = randomBytes(8)
const nsPerMs = 1e6

/** What the shell keeps of a step beside the race's record: enough to answer again. */
export interface StepNotes {
  readonly output: StatesBuffer
  readonly timings: RunTimings
}

/** Stamps of a step on the server's monotonic clock, ns. */
export function stampsOf(record: StepRecord<unknown>, timings: RunTimings, pushQueuedAt: number, clock: Clock): Stamps {
  return {
    clockId,
    requested: record.requestedAt * nsPerMs,
    pushReceived: record.pushArrivedAt * nsPerMs,
    copyReceived: record.copyArrivedAt * nsPerMs,
    computeStart: timings.startedAt * nsPerMs,
    computeEnd: timings.endedAt * nsPerMs,
    pushQueued: pushQueuedAt * nsPerMs,
    outputQueued: clock.now() * nsPerMs
  }
}
