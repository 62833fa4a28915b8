import { execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { platform } from 'node:process'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { expect, test, vi } from 'vitest'
import { buildSpanGraph, openModel, writeRandomModel } from '../../src/model/index.ts'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { runSources } from './run-sources.ts'

test.skipIf(platform === 'win32')('what measures memory ends without a word once nobody waits for it', async () => {
  const folder = await temporaryFolder()
  const size = { blocks: 1, hiddenSize: 32, heads: 2, kvHeads: 1, mlpSize: 32, vocabSize: 8, maxLength: 2 }
  await writeRandomModel(folder, size)
  const { bytes, ...graph } = buildSpanGraph(await openModel(folder), { from: 0, to: 1 }, { maxLength: 2 })
  // A pipe tells when it is being read, and what is measured waits for it.
  const bytesFile = join(folder, 'span.onnx')
  await promisify(execFile)('mkfifo', [bytesFile])

  vi.stubEnv('NODE_OPTIONS', runSources)
  const program = new URL('../../src/bench/span-memory-child.ts', import.meta.url)
  const child = fork(program, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
  vi.unstubAllEnvs()
  const said = text(child.stderr!)
  const ended = once(child, 'exit')
  child.send({ graph, bytesFile, past: 1, steps: 1, threads: 1 })

  const pipe = await open(bytesFile, 'w')
  child.disconnect()
  // Where it is gone already, nothing takes them.
  await pipe.writeFile(bytes).catch(() => undefined)
  await pipe.close()
  expect([await said, ...(await ended)]).toEqual(['', 0, null])
})
