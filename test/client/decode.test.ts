import { expect, test } from 'vitest'
import { AndthenError } from '../../src/base/index.ts'
import type { PassResult } from '../../src/client/pass-queue.ts'
import { Decoder } from '../../src/client/decode.ts'
import { createSampler } from '../../src/client/sampling.ts'
import type { EndsRunner } from '../../src/runtime/index.ts'

test('a prompt whose first pass fails while the next piece is embedded: nothing more is embedded, and the failure is told once', async () => {
  const embedded: number[] = []
  const passes: ((error: AndthenError) => void)[] = []
  let wake: () => void = () => undefined
  const ends = {
    hiddenSize: 1,
    vocabSize: 2,
    embed: async (ids: readonly number[]) => {
      embedded.push(ids.length)
      if (embedded.length > 1)
        await new Promise<void>(resolve => {
          wake = resolve
        })
    }
  } as unknown as EndsRunner
  const chain = {
    reserve: (n: number) => new Float32Array(n),
    run: () => new Promise<PassResult>((_, reject) => passes.push(reject))
  }
  const floating: unknown[] = []
  const onFloating = (reason: unknown): void => void floating.push(reason)
  process.on('unhandledRejection', onFloating)
  const decoder = new Decoder({ chain, ends, sampler: createSampler({}), now: () => 0 })
  const failure = expect(decoder.prefill(new Array<number>(500).fill(1))).rejects.toMatchObject({ code: 'GONE' })
  const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  await turn()
  passes[0]!(new AndthenError('GONE', 'the chain failed'))
  await turn()
  for (let i = 0; i < 3; i++, await turn()) wake()
  await turn()
  process.off('unhandledRejection', onFloating)
  expect(floating).toEqual([])
  expect(embedded).toEqual([128, 128])
  await failure
})
