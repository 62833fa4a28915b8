import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { bindingNames } from '../../src/runtime/binding.ts'

const root = join(import.meta.dirname, '../..')
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-telemetry-'))
})
afterEach(() => rm(folder, { recursive: true }))

/** Loads a span in a process of its own; what ONNX Runtime's uploader leaves in TMPDIR shows whether it ran. */
test.each(bindingNames)('ONNX Runtime reports to nobody: %s', async binding => {
  const program = `
    import { silentLogger } from './dist/base/index.js'
    import { buildSpanGraph, openModel } from './dist/model/index.js'
    import { loadSpan } from './dist/runtime/index.js'
    const graph = buildSpanGraph(await openModel('models/tiny-shakespeare'), { from: 0, to: 1 }, { maxLength: 8 })
    const sizes = { slots: 1, maxLength: 8, threads: 1 }
    await (await loadSpan(graph, { ...sizes, binding: '${binding}', logger: silentLogger })).close()
    console.log(process.env.ORT_DISABLE_TELEMETRY)`
  const { ORT_DISABLE_TELEMETRY: _, ...env } = process.env
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: root,
    env: { ...env, TMPDIR: folder }
  })
  expect((await run).stdout.trim()).toBe('1')
  expect(await readdir(folder)).toEqual([])
})
