import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { type LogLevel, silentLogger } from '../../src/base/index.ts'
import type { GraphPlan } from '../../src/runtime/binding.ts'
import { openEnvironment } from '../../src/runtime/c-api/environment.ts'
import { CApiGraph } from '../../src/runtime/c-api/graph.ts'
import { hostDevice } from '../../src/runtime/c-api/device.ts'
import { createSession } from '../../src/runtime/c-api/session.ts'
import { loadBareDecode, loadSpan } from '../../src/runtime/index.ts'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { naiveSpan, tiny, tinySpan, values } from './tiny-span.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const init = { binding: 'c-api', slots: 2, maxLength: tiny.maxLength, threads: 1, logger: silentLogger } as const

function firstToken(slot = 0) {
  return { slot, position: 0, input: values(tiny.hidden, 1), output: new Float32Array(tiny.hidden) }
}

/** Every value of the token at a position. */
function tokenAt(position: number): number {
  return position === 0 ? 0.5 : -0.25
}

/** The graph below the runner: one row, one token a run. */
async function loadTiny() {
  const environment = await openEnvironment()
  const span = tinySpan()
  const hidden = { type: 'float32', dimensions: ['rows', 'tokens', tiny.hidden], elements: tiny.hidden } as const
  const plan: GraphPlan = {
    graph: span,
    threads: 1,
    slab: { layers: span.kv, rows: 1, capacity: tiny.maxLength + 1, type: span.compute },
    inputs: [
      { ...hidden, name: 'hidden' },
      { name: 'seqlens_k', type: 'int32', dimensions: ['rows'], elements: 1 },
      { name: 'total_sequence_length', type: 'int32', dimensions: [], elements: 1 }
    ],
    outputs: [{ ...hidden, name: 'hidden_out' }]
  }
  const session = await createSession(environment, plan, hostDevice)
  const graph = await CApiGraph.over(session, environment, plan, hostDevice)
  const input = new Float32Array(graph.memoryOf('hidden'))
  const output = new Float32Array(graph.memoryOf('hidden_out'))
  const seqlens = new Int32Array(graph.memoryOf('seqlens_k'))
  const total = new Int32Array(graph.memoryOf('total_sequence_length'))
  const decodeAt = (past: number): Promise<void> => {
    input.fill(tokenAt(past))
    seqlens[0] = past
    total[0] = past + 1
    return graph.run({ first: 0, rows: 1, tokens: 1 })
  }
  return { graph, decodeAt, output }
}

/** libuv's default is 4. */
const poolThreads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)

/** Each thread of libuv's pool waits for the writer of a pipe, and what is queued behind them for `free`. */
async function occupyPool(): Promise<{ free(): Promise<void> }> {
  const pipe = join(await temporaryFolder(), 'pipe')
  execFileSync('mkfifo', [pipe])
  const readers = Array.from({ length: poolThreads }, () => open(pipe, 'r'))
  return {
    async free() {
      // For reading and writing: opens at once, whether or not the readers are there yet.
      const writer = openSync(pipe, 'r+')
      for (const reader of await Promise.all(readers)) await reader.close()
      closeSync(writer)
    }
  }
}

describe('the C API', () => {
  test('outlives every runner that used it', async () => {
    const first = firstToken()
    const one = await loadSpan(tinySpan(), init)
    await one.decode([first])
    await one.close()
    collectGarbage()
    await new Promise(setImmediate)
    collectGarbage()
    const second = firstToken()
    const other = await loadSpan(tinySpan(), init)
    await other.decode([second])
    await other.close()
    expect(second.output).toEqual(first.output)
  })

  test('memory that runs use survives collections between them', async () => {
    const runner = await loadSpan(tinySpan(), init)
    const fresh = firstToken()
    await runner.decode([fresh])
    for (let i = 0; i < 20; i++) {
      runner.release(0)
      const again = firstToken()
      const running = runner.decode([again])
      collectGarbage()
      await running
      expect(again.output).toEqual(fresh.output)
    }
    await runner.close()
  })

  test('a run leaves the event loop free', async () => {
    const runner = await loadSpan(tinySpan(), init)
    const order: string[] = []
    const running = runner.decode([firstToken()]).then(() => order.push('run'))
    order.push('started')
    await Promise.resolve()
    order.push('next')
    await running
    expect(order).toEqual(['started', 'next', 'run'])
    await runner.close()
  })

  test('the cache is extended in place', async () => {
    const { graph, decodeAt, output } = await loadTiny()
    const step = async (past: number): Promise<Float32Array> => {
      await decodeAt(past)
      return output.slice()
    }
    const first = await step(0)
    // Nothing was handed from run to run: the second token finds the first in the memory that both were bound to.
    const second = await step(1)
    expect(await step(1)).toEqual(second)
    const sequence = Float32Array.from({ length: 2 * tiny.hidden }, (_, i) => tokenAt(Math.floor(i / tiny.hidden)))
    const difference = naiveSpan(sequence).map((value, i) => Math.abs(value - ([...first, ...second][i] ?? NaN)))
    expect(Math.max(...difference)).toBeLessThanOrEqual(5e-6)
    await graph.close()
  })

  test('a terminated run ends with an error, and the next one is as good as ever', async () => {
    const { graph, decodeAt, output } = await loadTiny()
    await decodeAt(0)
    const expected = output.slice()
    const pool = await occupyPool()
    const running = decodeAt(0)
    const ended = expect(running).rejects.toMatchObject({
      code: 'RUNTIME_RUN',
      details: { function: 'RunWithBinding' }
    })
    graph.terminate()
    await pool.free()
    await ended
    await decodeAt(0)
    expect(output).toEqual(expected)
    await graph.close()
  })

  test('says which folder has no library', async () => {
    const libraryFolder = import.meta.dirname
    await expect(loadSpan(tinySpan(), { ...init, libraryFolder })).rejects.toMatchObject({
      code: 'RUNTIME_LOAD',
      message: expect.stringContaining(libraryFolder) as string
    })
  })

  test('without it the official binding takes over, with one warning', async () => {
    const warnings: string[] = []
    const note = (level: LogLevel) => (_: object, message: string) => {
      if (level === 'warn') warnings.push(message)
    }
    const logger = { ...silentLogger, warn: note('warn'), info: note('info'), child: () => logger }
    const libraryFolder = '/nowhere/at-all'
    const load = () => loadSpan(tinySpan(), { ...init, binding: 'auto', libraryFolder, logger })
    const runners = [await load(), await load()]
    for (const runner of runners) {
      expect(runner.runtime.binding).toBe('official')
      expect(runner.runtime.reason).toContain(libraryFolder)
      await runner.close()
    }
    expect(warnings).toHaveLength(1)
    expect(warnings[0]).toContain(libraryFolder)
  })

  test('a bare step runs', async () => {
    const bare = await loadBareDecode(tinySpan(), { past: 3, threads: 1, device: hostDevice })
    bare.steps(2)
    await bare.close()
  })
})
