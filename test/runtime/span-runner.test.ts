import { expect, test } from 'vitest'
import type { Binding, GraphCall, GraphPlan } from '../../src/runtime/binding.ts'
import { SlabRunner } from '../../src/runtime/span-runner.ts'
import { tiny, tinySpan, values } from './tiny-span.ts'

const runtime = { device: 'cpu', binding: 'c-api', reason: '', version: '', library: '' } as const

/** A binding whose graphs compute nothing: what each run was fed as its total length. */
async function recordedTotals(replays: boolean): Promise<(readonly [tokens: number, total: number])[]> {
  const seen: [number, number][] = []
  const load = ({ inputs, outputs }: GraphPlan) => {
    const memory = new Map([...inputs, ...outputs].map(({ name, elements }) => [name, new ArrayBuffer(8 * elements)]))
    return Promise.resolve({
      replays,
      memoryOf: (port: string) => memory.get(port)!,
      run: ({ tokens }: GraphCall) => {
        seen.push([tokens, new Int32Array(memory.get('total_sequence_length')!)[0]!])
        return Promise.resolve()
      },
      terminate: () => undefined,
      save: () => Promise.resolve(new Uint8Array()),
      load: () => Promise.resolve(),
      close: () => Promise.resolve()
    })
  }
  const binding: Binding = { name: 'c-api', device: 'cpu', version: '', library: '', load }
  const sizes = { slots: 2, maxLength: tiny.maxLength, chunkTokens: 4, threads: 1 }
  const runner = await SlabRunner.load(binding, runtime, tinySpan(), sizes)
  const run = (tokens: number) => {
    const input = values(tokens * tiny.hidden, 1)
    return { slot: 0, position: runner.length(0), input, output: new Float32Array(input.length) }
  }
  await runner.prefill(run(3))
  await runner.decode([run(1)])
  await runner.prefill(run(1))
  await runner.prefill(run(2))
  return seen
}

test('a run is told the length of its longest row', async () => {
  expect(await recordedTotals(false)).toEqual([
    [3, 3],
    [1, 4],
    [1, 5],
    [2, 7]
  ])
})

test('runs of one token that are replayed are all told the same: a bound of every length', async () => {
  const bound = tiny.maxLength + 1
  expect(await recordedTotals(true)).toEqual([
    [3, 3],
    [1, bound],
    [1, bound],
    [2, 7]
  ])
})
