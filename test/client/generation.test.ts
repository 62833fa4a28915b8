import { describe, expect, test } from 'vitest'
import { AndthenError } from '../../src/base/index.ts'
import { Generation, type GenerationResult, type GenerationWork } from '../../src/client/generation.ts'

const result = { text: 'ab' } as GenerationResult
const a = { text: 'a', tokenId: 1 }
const b = { text: 'b', tokenId: 2 }

/** Work that the test carries out step by step. */
function started(signal?: AbortSignal) {
  let work!: GenerationWork
  let resolve!: (result: GenerationResult) => void
  let reject!: (error: AndthenError) => void
  const promise = new Promise<GenerationResult>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  const generation = new Generation(given => {
    work = given
    return promise
  }, signal)
  return { generation, work, resolve, reject }
}

async function collect(generation: Generation): Promise<string> {
  let text = ''
  for await (const token of generation) text += token.text
  return text
}

describe('a generation', () => {
  test('gives tokens as they come, to each who iterates, and the result', async () => {
    const { generation, work, resolve } = started()
    work.emit(a)
    const [first, second] = [collect(generation), collect(generation)]
    await Promise.resolve()
    work.emit(b)
    work.emit({ text: '!', tokenId: null })
    resolve(result)
    expect(await Promise.all([first, second])).toEqual(['ab!', 'ab!'])
    expect(await collect(generation), 'who comes late gets all').toBe('ab!')
    expect(await generation.result).toBe(result)
    expect(generation.partial).toEqual({ text: 'ab!', tokenIds: [1, 2] })
  })

  test('that fails gives what came before, then the error, and keeps it as partial', async () => {
    const { generation, work, reject } = started()
    work.emit(a)
    const seen: string[] = []
    const iterating = (async () => {
      for await (const { text } of generation) seen.push(text)
    })()
    reject(new AndthenError('BLOCKS_NOT_COVERED', 'gone'))
    await expect(iterating).rejects.toMatchObject({ code: 'BLOCKS_NOT_COVERED' })
    expect(seen).toEqual(['a'])
    await expect(generation.result).rejects.toMatchObject({ code: 'BLOCKS_NOT_COVERED' })
    expect(generation.partial).toEqual({ text: 'a', tokenIds: [1] })
  })

  test('is cancelled when its iteration is left, by its signal, and by name', async () => {
    const left = started()
    left.work.emit(a)
    for await (const _ of left.generation) break
    expect(left.work.signal.aborted).toBe(true)

    const abort = new AbortController()
    const signalled = started(abort.signal)
    abort.abort()
    expect(signalled.work.signal.aborted).toBe(true)

    const named = started()
    expect(named.work.signal.aborted).toBe(false)
    named.generation.cancel()
    expect(named.work.signal.aborted).toBe(true)
  })

  test('goes on when an iteration that reached the end is left', async () => {
    const { generation, work, resolve } = started()
    work.emit(a)
    resolve(result)
    await generation.result
    await collect(generation)
    expect(work.signal.aborted).toBe(false)
  })
})
