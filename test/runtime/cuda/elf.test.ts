import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { arch, platform } from 'node:process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { neededLibraries } from '../../../src/runtime/cuda/elf.ts'

const folder = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
const library = join(folder, 'bin', 'napi-v6', platform, arch, 'libonnxruntime.so.1')

test.runIf(platform === 'linux')("lists what ONNX Runtime's own library needs, in its order", async () => {
  const needed = await neededLibraries(library)
  expect(needed).toEqual(expect.arrayContaining(['libstdc++.so.6', 'libm.so.6', 'libc.so.6']))
  expect(needed?.every(name => /^[\w.+-]+\.so(\.\d+)*$/.test(name))).toBe(true)
})

test('a file of another kind is none', async () => {
  expect(await neededLibraries(fileURLToPath(import.meta.url))).toBeNull()
})
