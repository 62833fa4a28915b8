import { parentPort, workerData } from 'node:worker_threads'
import { type AlarmMemory, setting, wakeAtNs } from './alarm-memory.ts'

// Sleeps until the time in shared memory and says so. A thread of its own, since only Atomics.wait sleeps to fractions
// of a millisecond, and it blocks its thread.

const { settings, times } = workerData as AlarmMemory
let done = 0
for (;;) {
  const current = Atomics.load(settings, setting)
  if (current === done) {
    Atomics.wait(settings, setting, current)
    continue
  }
  const leftMs = Number(Atomics.load(times, wakeAtNs) - process.hrtime.bigint()) / 1e6
  if (leftMs > 0 && Atomics.wait(settings, setting, current, leftMs) !== 'timed-out') continue
  done = current
  parentPort?.postMessage(null)
}
