import { expect, test } from 'vitest'
import { AndthenError, ManualClock } from '../../../src/base/index.ts'
import { Boundaries, type Fault, type Hop, Pipeline, type SessionListener } from '../../../src/inference/owner/index.ts'
import { createDigester, type Output } from '../../../src/wire/index.ts'

const hiddenSize = 4
const rowBytes = hiddenSize * Float32Array.BYTES_PER_ELEMENT

test('that a server answers, or is there again, once the epoch is over is no sign that anything comes of the next', () => {
  let heard: SessionListener | null = null
  const session = {
    opened: { pushKey: new Uint8Array(16) },
    listen: (listener: SessionListener) => void (heard = listener),
    step: () => undefined
  }
  const server = { peerId: 'server', target: [], from: 0, to: 4, pingMs: 1 }
  const told: string[] = []
  const events = {
    onEmit: () => void told.push('emit'),
    onRetire: () => void told.push('retire'),
    onProgress: () => void told.push('progress'),
    onFault: ({ kind }: Fault) => void told.push(`fault: ${kind}`)
  }
  const digest = createDigester({ modelDigest: new Uint8Array(32), hiddenSize })
  const pipeline = new Pipeline(
    { clock: new ManualClock(), digest, boundaries: new Boundaries(rowBytes), events },
    { hops: [{ server, session, pushed: false } as unknown as Hop], epoch: 1, verify: 'auto' }
  )
  pipeline.begin()
  const input = new Uint8Array(rowBytes)
  pipeline.start({ position: 0, n: 1, input, want: 'last' })
  pipeline.start({ position: 1, n: 1, input, want: 'last' })
  const inputOf = (step: number) => digest({ boundary: 0, position: step, n: 1 }, input)
  const answer = (step: number) =>
    ({ epoch: 1, step, position: step, n: 1, replay: false, inputDigest: inputOf(step) }) as Output
  expect(heard!.onOutput(answer(0), rowBytes)).toHaveLength(rowBytes)
  pipeline.fail(0, new AndthenError('TIMEOUT', 'too late'))
  expect(told).toEqual(['progress', 'fault: server'])
  expect(heard!.onOutput(answer(1), rowBytes)).toBeNull()
  heard!.onTensor(answer(0), new Uint8Array(rowBytes))
  heard!.onResumed!()
  expect(told).toEqual(['progress', 'fault: server'])
})
