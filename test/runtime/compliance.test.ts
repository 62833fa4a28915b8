import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { cacheBytes } from '../../src/runtime/binding.ts'
import { loadSpan, type SpanInit, type SpanRun, type SpanRunner } from '../../src/runtime/index.ts'
import { targets, tellSkippedGpu } from './targets.ts'
import { naiveSpan, tiny, tinySpan, tolerance, values } from './tiny-span.ts'

/** Tokens of a sequence that is the same at every prefix, as sessions are. */
function sequence(seed: number, tokens: number): Float32Array {
  return values(tokens * tiny.hidden, seed)
}

function spanRun(slot: number, position: number, input: Float32Array): SpanRun {
  return { slot, position, input, output: new Float32Array(input.length) }
}

/** The run of tokens `from` to `to` of a sequence. */
function runOf(slot: number, whole: Float32Array, from: number, to: number): SpanRun {
  return spanRun(slot, from, whole.slice(from * tiny.hidden, to * tiny.hidden))
}

tellSkippedGpu()

describe.each(targets)('a span through $name', ({ compute, device, binding, libraryFolder, heads = tiny }) => {
  let runner: SpanRunner
  const graph = () => tinySpan(compute, heads)
  const perToken = tiny.blocks * 2 * heads.kvHeads * heads.headDim * cacheBytes[compute]
  const init: SpanInit = {
    binding,
    device,
    ...(libraryFolder === undefined ? {} : { libraryFolder }),
    slots: 4,
    maxLength: tiny.maxLength,
    chunkTokens: 8,
    threads: 1,
    logger: silentLogger
  }

  function expectTail(run: SpanRun, whole: Float32Array): void {
    const end = run.position * tiny.hidden + run.input.length
    const expected = naiveSpan(whole.slice(0, end), heads).slice(run.position * tiny.hidden)
    expect(run.output.length).toBe(expected.length)
    const difference = run.output.reduce((worst, value, i) => Math.max(worst, Math.abs(value - expected[i]!)), 0)
    expect(difference, 'largest difference from the naive span').toBeLessThanOrEqual(tolerance(compute, expected))
  }

  beforeEach(async () => {
    runner = await loadSpan(graph(), init)
  })
  afterEach(() => runner.close())

  test('says what runs it and how much memory it takes', () => {
    expect(runner.runtime).toMatchObject({ binding, device: device.name })
    expect(runner.runtime.version).toMatch(/^1\.\d+\.\d+/)
    expect(runner.memoryBytes.kv).toBe(4 * (tiny.maxLength + 1) * perToken)
  })

  test('prefill gives what the naive span gives', async () => {
    const whole = sequence(1, 8)
    const run = spanRun(2, 0, whole)
    await runner.prefill(run)
    expectTail(run, whole)
    expect(runner.length(2)).toBe(8)
  })

  test.each([
    ['tokens one by one', [1, 1, 1, 1, 1, 1]],
    ['a chunk, then one by one', [4, 1, 1]],
    ['chunks', [3, 4, 5]],
    ['a token, a chunk, a token', [1, 7, 1]]
  ])('%s continue the sequence', async (_, chunks) => {
    const whole = sequence(2, 12)
    let position = 0
    for (const tokens of chunks) {
      const run = runOf(1, whole, position, position + tokens)
      if (tokens === 1) await runner.decode([run])
      else await runner.prefill(run)
      position += tokens
      expectTail(run, whole)
      expect(runner.length(1)).toBe(position)
    }
  })

  test('a slot takes tokens up to its full length and not one more', async () => {
    const whole = sequence(3, tiny.maxLength)
    await runner.prefill(runOf(0, whole, 0, 8))
    const rest = runOf(0, whole, 8, tiny.maxLength)
    await runner.prefill(rest)
    expectTail(rest, whole)
    const more = spanRun(0, tiny.maxLength, sequence(4, 1))
    await expect(runner.decode([more])).rejects.toMatchObject({ code: 'LENGTH_EXCEEDED' })
    expect(runner.length(0)).toBe(tiny.maxLength)
  })

  test('rows of different lengths decode together as they do alone', async () => {
    const lengths = [5, 0, 8, 2]
    const wholes = lengths.map((length, slot) => sequence(5 + slot, length + 1))
    for (const [slot, length] of lengths.entries()) {
      if (length > 0) await runner.prefill(runOf(slot, wholes[slot]!, 0, length))
    }
    const runs = lengths.map((length, slot) => runOf(slot, wholes[slot]!, length, length + 1))
    await runner.decode(runs.toReversed())
    runs.forEach((run, slot) => expectTail(run, wholes[slot]!))
    expect(lengths.map((_, slot) => runner.length(slot))).toEqual([6, 1, 9, 3])
  })

  test.each([
    ['empty', 0],
    ['part full', 5],
    ['full', tiny.maxLength]
  ])('a row between those decoded keeps its cache when it is %s', async (_, length) => {
    const bystander = sequence(9, tiny.maxLength)
    for (let at = 0; at < length; at += 4) await runner.prefill(runOf(1, bystander, at, Math.min(at + 4, length)))
    const others = [sequence(10, 1), sequence(11, 1)]
    const runs = [runOf(0, others[0]!, 0, 1), runOf(2, others[1]!, 0, 1)]
    await runner.decode(runs)
    expectTail(runs[0]!, others[0]!)
    expectTail(runs[1]!, others[1]!)
    expect(runner.length(1)).toBe(length)
    const back = Math.min(length, tiny.maxLength - 1)
    runner.rewind(1, back)
    const next = runOf(1, bystander, back, back + 1)
    await runner.decode([next])
    expectTail(next, bystander)
  })

  test('after a rewind the sequence takes another turn', async () => {
    const first = sequence(12, 8)
    await runner.prefill(spanRun(0, 0, first))
    runner.rewind(0, 3)
    const second = new Float32Array([...first.slice(0, 3 * tiny.hidden), ...sequence(13, 4)])
    const run = runOf(0, second, 3, 7)
    await runner.prefill(run)
    expectTail(run, second)
  })

  test('a released slot serves its next session as a fresh one does', async () => {
    const run = spanRun(3, 0, sequence(14, 5))
    await runner.prefill(run)
    runner.release(3)
    expect(runner.length(3)).toBe(0)
    await runner.prefill(spanRun(3, 0, sequence(15, 8)))
    runner.release(3)
    const again = spanRun(3, 0, run.input)
    await runner.prefill(again)
    expect(again.output).toEqual(run.output)
  })

  test.each([
    ['some tokens', 5],
    ['a full row', tiny.maxLength],
    ['nothing', 0]
  ])('a row that was saved goes on in another slot, with %s', async (_, tokens) => {
    const whole = sequence(30, tiny.maxLength)
    for (let at = 0; at < tokens; at += 4) await runner.prefill(runOf(1, whole, at, Math.min(at + 4, tokens)))
    const state = await runner.save(1)
    expect(state.byteLength).toBe(tokens * perToken)
    runner.release(1)
    await runner.prefill(spanRun(1, 0, sequence(31, 8)))
    await runner.load(2, state)
    expect(runner.length(2)).toBe(tokens)
    const back = Math.min(tokens, tiny.maxLength - 1)
    runner.rewind(2, back)
    const next = runOf(2, whole, back, back + 1)
    await runner.decode([next])
    expectTail(next, whole)
  })

  test('other slots run while a row is saved, and while it is loaded between them', async () => {
    const [low, moved, high] = [sequence(32, 12), sequence(33, 12), sequence(34, 12)]
    await runner.prefill(runOf(1, moved, 0, 8))
    const decodeBoth = async (position: number): Promise<void> => {
      const runs = [runOf(0, low, position, position + 1), runOf(2, high, position, position + 1)]
      await runner.decode(runs)
      expectTail(runs[0]!, low)
      expectTail(runs[1]!, high)
    }
    const [state] = await Promise.all([runner.save(1), decodeBoth(0)])
    runner.release(1)
    // The run in flight still has the row as an empty one, whose null row writes where the first token goes.
    await Promise.all([decodeBoth(1), runner.load(1, state)])
    await decodeBoth(2)
    const next = runOf(1, moved, 8, 9)
    await runner.decode([next])
    expectTail(next, moved)
  })

  test('a slot that is being saved neither runs nor is lent again, and may be cut', async () => {
    await runner.prefill(spanRun(0, 0, sequence(35, 4)))
    const saving = runner.save(0)
    expect(() => runner.release(0)).toThrowError(expect.objectContaining({ code: 'SLOT_BUSY' }))
    runner.rewind(0, 3)
    const refused = await Promise.allSettled([runner.decode([spanRun(0, 3, sequence(36, 1))]), runner.save(0)])
    const busy = { status: 'rejected', reason: expect.objectContaining({ code: 'SLOT_BUSY' }) }
    expect(refused).toEqual([busy, busy])
    const state = await saving
    await expect(runner.load(0, state)).rejects.toMatchObject({ code: 'POSITION_MISMATCH' })
    await expect(runner.load(1, state.subarray(1))).rejects.toMatchObject({ code: 'RUN_INPUT' })
    await expect(runner.load(4, state)).rejects.toMatchObject({ code: 'SLOT_INVALID' })
    expect([0, 1, 2, 3].map(slot => runner.length(slot))).toEqual([3, 0, 0, 0])
    await runner.load(1, state)
    expect(runner.length(1)).toBe(4)
  })

  test('any interleaving of sessions gives each its own numbers', async () => {
    const step = fc.record({
      slots: fc.uniqueArray(fc.nat(3), { minLength: 1, maxLength: 4 }),
      action: fc.oneof(
        { weight: 4, arbitrary: fc.constant('decode' as const) },
        { weight: 2, arbitrary: fc.constant('prefill' as const) },
        { weight: 1, arbitrary: fc.constant('rewind' as const) }
      ),
      tokens: fc.integer({ min: 2, max: 8 })
    })
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        const wholes = [0, 1, 2, 3].map(slot => sequence(20 + slot, tiny.maxLength))
        for (const slot of wholes.keys()) runner.release(slot)
        for (const { slots, action, tokens } of steps) {
          const room = slots.filter(slot => runner.length(slot) < tiny.maxLength)
          if (action === 'decode' && room.length > 0) {
            const runs = room.map(slot => runOf(slot, wholes[slot]!, runner.length(slot), runner.length(slot) + 1))
            await runner.decode(runs)
            for (const run of runs) expectTail(run, wholes[run.slot]!)
          } else if (action === 'prefill' && room.length > 0) {
            const slot = room[0]!
            const from = runner.length(slot)
            const run = runOf(slot, wholes[slot]!, from, Math.min(from + tokens, tiny.maxLength))
            await runner.prefill(run)
            expectTail(run, wholes[slot]!)
          } else if (action === 'rewind') {
            runner.rewind(slots[0]!, Math.floor(runner.length(slots[0]!) / 2))
          }
        }
      }),
      { numRuns: 25 }
    )
  })

  test.each<[string, string, (runner: SpanRunner) => Promise<void>]>([
    ['a position before the end', 'POSITION_MISMATCH', r => r.prefill(spanRun(0, 1, sequence(1, 2)))],
    ['a position beyond the end', 'POSITION_MISMATCH', r => r.decode([spanRun(0, 4, sequence(1, 1))])],
    ['a slot that is not there', 'SLOT_INVALID', r => r.decode([spanRun(4, 0, sequence(1, 1))])],
    ['a negative slot', 'SLOT_INVALID', r => r.prefill(spanRun(-1, 0, sequence(1, 1)))],
    [
      'a slot named twice',
      'SLOT_INVALID',
      r => r.decode([spanRun(0, 2, sequence(1, 1)), spanRun(0, 2, sequence(1, 1))])
    ],
    ['more tokens than a chunk', 'LENGTH_EXCEEDED', r => r.prefill(spanRun(1, 0, sequence(1, 9)))],
    ['no tokens', 'RUN_INPUT', r => r.prefill(spanRun(1, 0, new Float32Array(0)))],
    ['part of a token', 'RUN_INPUT', r => r.prefill(spanRun(1, 0, new Float32Array(tiny.hidden + 1)))],
    ['two tokens in a decode', 'RUN_INPUT', r => r.decode([spanRun(1, 0, sequence(1, 2))])],
    [
      'an output that is too small',
      'RUN_INPUT',
      r => r.prefill({ ...spanRun(1, 0, sequence(1, 2)), output: new Float32Array(tiny.hidden) })
    ],
    ['a decode of nothing', 'RUN_INPUT', r => r.decode([])]
  ])('refuses %s and leaves the slots as they were', async (_, code, act) => {
    await runner.prefill(spanRun(0, 0, sequence(1, 2)))
    await expect(act(runner)).rejects.toMatchObject({ code })
    expect([0, 1, 2, 3].map(slot => runner.length(slot))).toEqual([2, 0, 0, 0])
  })

  test.each([3, -1, 0.5])('refuses to rewind two tokens to %d', async length => {
    await runner.prefill(spanRun(0, 0, sequence(1, 2)))
    expect(() => runner.rewind(0, length)).toThrowError(expect.objectContaining({ code: 'POSITION_MISMATCH' }))
    expect(runner.length(0)).toBe(2)
  })

  test('refuses a second run, and a rewind of the row in the first, until that one ends', async () => {
    const whole = sequence(16, 8)
    const run = spanRun(0, 0, whole)
    const running = runner.prefill(run)
    await expect(runner.decode([spanRun(1, 0, sequence(17, 1))])).rejects.toMatchObject({ code: 'RUNNER_BUSY' })
    expect(() => runner.release(0)).toThrowError(expect.objectContaining({ code: 'SLOT_BUSY' }))
    runner.release(1)
    await running
    expectTail(run, whole)
    await runner.decode([spanRun(1, 0, sequence(17, 1))])
  })

  test('an aborted run changes nothing, and the runner goes on', async () => {
    const whole = sequence(18, 8)
    const controller = new AbortController()
    const running = runner.prefill(spanRun(0, 0, whole), { signal: controller.signal })
    controller.abort()
    await expect(running).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(runner.prefill(spanRun(0, 0, whole), { signal: controller.signal })).rejects.toMatchObject({
      code: 'CANCELLED'
    })
    expect(runner.length(0)).toBe(0)
    const again = spanRun(0, 0, whole)
    await runner.prefill(again)
    expectTail(again, whole)
  })

  test('close waits for the run in flight, and nothing runs after it', async () => {
    const whole = sequence(19, 8)
    const run = spanRun(0, 0, whole)
    const running = runner.prefill(run)
    await Promise.all([runner.close(), runner.close(), running])
    expectTail(run, whole)
    await expect(runner.prefill(spanRun(1, 0, whole))).rejects.toMatchObject({ code: 'RUNNER_CLOSED' })
  })

  test('a graph that is none is refused', async () => {
    const none = { ...graph(), bytes: new Uint8Array(64).fill(255) }
    await expect(loadSpan(none, init)).rejects.toMatchObject({ code: 'RUNTIME_LOAD' })
  })

  test.each([
    ['slots longer than its tables', { maxLength: tiny.maxLength + 1 }],
    ['no slots', { slots: 0 }],
    ['half a thread', { threads: 0.5 }]
  ])('a graph is refused with %s', async (_, wrong) => {
    await expect(loadSpan(graph(), { ...init, ...wrong })).rejects.toMatchObject({ code: 'RUNTIME_LOAD' })
  })

  test('loading that was cancelled gives nothing', async () => {
    const signal = AbortSignal.abort()
    await expect(loadSpan(graph(), { ...init, signal })).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})
