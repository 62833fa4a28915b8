import { describe, expect, test } from 'vitest'
import { SentLog } from '../../../src/inference/owner/sent-log.ts'
import { type Output, serverFrames } from '../../../src/wire/index.ts'

const bytes = (value: number) => new Uint8Array(8).fill(value)
const digest = (value: number) => new Uint8Array(32).fill(value)

function output(step: number, committed: number, more: Partial<Output> = {}): Output {
  const parts = { stamps: {}, pushes: {}, epoch: 1, step, outputDigest: digest(step), ...more }
  const decoded = serverFrames.decode(
    serverFrames.encode({ kind: 'output', value: { ...parts, lengths: { length: step + 1, committed } } }, null)
  )
  return decoded.message?.value as Output
}

/** A log of epoch 1 in which steps 0 to `steps - 1`, of a token each, were sent. */
function logOf(steps: number, pushed = false): SentLog {
  const log = new SentLog()
  log.begin(1)
  for (let step = 0; step < steps; step++)
    log.sent({ epoch: 1, step, position: step, n: 1 }, pushed ? null : bytes(step))
  return log
}

const again = (log: SentLog, nextStep: number, committed: number, epoch = 1): string[] =>
  [...log.again({ epoch, nextStep, lengths: { length: nextStep, committed } })].map(message =>
    message.kind === 'step'
      ? `step ${message.value.step} ${message.bytes === null ? 'without' : 'with'} bytes`
      : `verify ${message.value.step}`
  )

describe('what is said again', () => {
  test('steps that the server has not heard, as they were', () => {
    expect(again(logOf(3), 2, 2)).toEqual(['step 2 with bytes'])
    expect(again(logOf(3, true), 1, 1)).toEqual(['step 1 without bytes', 'step 2 without bytes'])
  })

  test('of those that it has heard, the bytes and proofs that may not have come', () => {
    const log = logOf(3, true)
    log.proven({ epoch: 1, step: 0, digest: digest(0) })
    log.sent({ epoch: 1, step: 1, position: 1, n: 1 }, bytes(1))
    log.proven({ epoch: 1, step: 2, digest: digest(2) })
    expect(again(log, 3, 1), 'the first is committed').toEqual(['step 1 with bytes', 'verify 2'])
    expect(again(log, 0, 0)).toEqual([
      'step 0 without bytes',
      'verify 0',
      'step 1 with bytes',
      'step 2 without bytes',
      'verify 2'
    ])
  })

  test('nothing of an epoch that the server is not in, or that it has heard is over', () => {
    const log = logOf(2)
    log.arrived(output(0, 0), 0)
    expect(again(log, 0, 0, 0)).toEqual([])
    log.begin(2)
    log.begun()
    expect(again(log, 2, 0, 1)).toEqual([])
    expect(again(log, 0, 0, 2)).toEqual([])
    log.sent({ epoch: 1, step: 2, position: 2, n: 1 }, bytes(2))
    expect(again(log, 0, 0, 2)).toEqual([])
  })

  test('of an epoch that is over, where the server has not heard so, what proves the steps that it answered', () => {
    const log = logOf(4, true)
    for (const step of [0, 1, 2]) log.arrived(output(step, 1), 0)
    for (const step of [1, 3]) log.proven({ epoch: 1, step, digest: digest(step) })
    log.sent({ epoch: 1, step: 2, position: 2, n: 1 }, bytes(2))
    log.begin(2)
    log.begin(3)
    expect(again(log, 4, 1, 1), 'the first is committed, the last not answered').toEqual([
      'verify 1',
      'step 2 with bytes'
    ])
    log.sent({ epoch: 3, step: 0, position: 2, n: 1 }, bytes(0))
    expect(again(log, 0, 2, 3), 'now it has heard').toEqual(['step 0 with bytes'])
    expect(again(log, 4, 1, 1)).toEqual([])
  })

  test('nothing of replayed steps', () => {
    const log = new SentLog()
    log.begin(1)
    log.sent({ epoch: 1, position: 0, n: 1, replay: true }, bytes(0))
    expect(log.arrived(output(0, 1, { replay: true }), 8)).toEqual({ kind: 'first' })
    expect([again(log, 0, 0), log.outputs]).toEqual([[], 0])
  })
})

describe('answers', () => {
  test('are wanted from the first that is not whole on', () => {
    const log = logOf(3)
    expect(log.outputs).toBe(0)
    expect(log.arrived(output(0, 0), 8)).toEqual({ kind: 'first' })
    expect(log.outputs, 'its tensor is on its way').toBe(0)
    log.whole(output(0, 0))
    expect(log.arrived(output(1, 1), 0)).toEqual({ kind: 'first' })
    expect(log.outputs).toBe(2)
  })

  test('that come again are told once, and their tensors go where they were to go', () => {
    const log = logOf(1)
    const [first, second] = [output(0, 0), output(0, 0)]
    const into = bytes(0)
    log.arrived(first, 8)
    log.goes(first, into)
    expect(log.arrived(second, 8)).toEqual({ kind: 'again', into })
    expect(log.whole(second), 'as it was told first').toBe(first)
    expect(log.arrived(output(0, 0), 8)).toEqual({ kind: 'known' })
  })

  test('that differ from what was told before are a contradiction', () => {
    const log = logOf(1)
    log.arrived(output(0, 0), 8)
    expect(log.arrived(output(0, 0, { outputDigest: digest(9) }), 8)).toEqual({ kind: 'other' })
  })
})
