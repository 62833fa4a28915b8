import { describe, expect, test } from 'vitest'
import { AndthenError } from '../../src/base/index.ts'
import { PassQueue, type PassResult } from '../../src/client/pass-queue.ts'

const input = (position: number) => ({ position, n: 1, input: new Uint8Array(), want: 'last' as const })
const result = (position: number): PassResult => ({
  tensor: null,
  trace: { position, n: 1, pushed: [], startedMs: 0, emittedMs: null, hops: [] }
})

describe('passes', () => {
  test('are started in order, so many at a time', () => {
    const queue = new PassQueue()
    for (const position of [0, 1, 2]) void queue.add(input(position))
    expect([queue.next(2)?.position, queue.next(2)?.position, queue.next(2)]).toEqual([0, 1, null])
    queue.retire()
    expect(queue.next(2)?.position).toBe(2)
    expect(queue.next(2)).toBeNull()
  })

  test('run again from the first that is not done, and give each result once', async () => {
    const queue = new PassQueue()
    const results = [0, 1].map(position => queue.add(input(position)))
    for (const step of [0, 1]) queue.next(8 + step)
    expect(queue.emit(0, result(0))).toBe(true)
    expect(queue.retire()?.position).toBe(0)
    expect(queue.emit(1, result(1))).toBe(true)
    expect([queue.position, queue.allEmitted]).toEqual([1, true])

    queue.restart()
    expect(queue.next(8)?.position, 'its place in other servers is lost').toBe(1)
    const again = result(1)
    expect(queue.emit(0, again), 'steps are numbered anew').toBe(false)
    expect(queue.retire(), 'the trace is that of the last run').toBe(again.trace)
    expect(queue.position).toBeNull()
    expect((await Promise.all(results)).map(({ trace }) => trace.position)).toEqual([0, 1])
  })

  test('that will not be done say why', async () => {
    const queue = new PassQueue()
    const failing = expect(queue.add(input(0))).rejects.toMatchObject({ code: 'GONE' })
    queue.fail(new AndthenError('GONE', 'over'))
    await failing
    expect([queue.position, queue.emit(0, result(0))]).toEqual([null, false])
  })
})
