import { mkdir, mkdtemp, open, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { arch, platform } from 'node:process'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { importKoffi } from '../../src/runtime/c-api/library.ts'
import { loadLibraries } from '../../src/runtime/cuda/libraries.ts'
import { cutOffProblem, readElf } from '../../src/runtime/elf.ts'
import { loadEnds } from '../../src/runtime/index.ts'

const packaged = dirname(createRequire(import.meta.url).resolve('onnxruntime-node/package.json'))
const library = join(packaged, 'bin', 'napi-v6', platform, arch, 'libonnxruntime.so.1')

test.runIf(platform === 'linux')(
  "tells what ONNX Runtime's own library needs, in its order, and that it is whole",
  async () => {
    const elf = await readElf(library)
    expect(elf?.needed).toEqual(expect.arrayContaining(['libstdc++.so.6', 'libm.so.6', 'libc.so.6']))
    expect(elf?.needed.every(name => /^[\w.+-]+\.so(\.\d+)*$/.test(name))).toBe(true)
    expect(elf?.cutOff).toBe(false)
    expect(await cutOffProblem(library)).toBeNull()
  }
)

test.each([fileURLToPath(import.meta.url), import.meta.dirname])('%s is none', async file => {
  expect(await readElf(file)).toBeNull()
  expect(await cutOffProblem(file)).toBeNull()
})

describe.runIf(platform === 'linux')('a library that was copied in part', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'andthen-elf-'))
    await mkdir(join(folder, 'libraries'))
  })
  afterAll(() => rm(folder, { recursive: true }))

  /** ONNX Runtime's, up to so many bytes. */
  async function part(name: string, bytes: number): Promise<string> {
    const handle = await open(library)
    const { buffer } = await handle.read(Buffer.alloc(bytes), 0, bytes, 0)
    await handle.close()
    await writeFile(join(folder, name), buffer)
    return join(folder, name)
  }

  // Within the program headers, behind them, and one segment of several.
  test.each([100, 4096, 1024 * 1024])('is told by its first %d bytes', async bytes => {
    const file = await part('libpart.so', bytes)
    expect(await readElf(file)).toEqual({ needed: [], cutOff: true })
    expect(await cutOffProblem(file)).toContain(`${file} is cut off`)
  })

  test("is not loaded as ONNX Runtime's, which would end the process", async () => {
    await part('libonnxruntime.so.1', 4096)
    const none = { bytes: new Uint8Array(), folder: '/', weightBytes: 0, hiddenSize: 1, vocabSize: 1 }
    const init = { libraryFolder: folder, binding: 'c-api', threads: 1, logger: silentLogger } as const
    await expect(loadEnds(none, none, init)).rejects.toMatchObject({
      code: 'RUNTIME_LOAD',
      message: expect.stringContaining('is cut off') as string
    })
  })

  test('is not loaded among those of CUDA, nor what lies beside it and may need it', async () => {
    const cut = await part('libraries/libandthen-part.so', 4096)
    await symlink(library, join(folder, 'libraries/libandthen-whole.so'))
    const names = ['libandthen-whole.so', 'libandthen-part.so']
    expect(await loadLibraries(await importKoffi(), names, [join(folder, 'libraries')])).toEqual([
      { name: 'libandthen-whole.so', path: null, problem: 'not tried beside one that is cut off' },
      { name: 'libandthen-part.so', path: null, problem: expect.stringContaining(`${cut} is cut off`) as string }
    ])
  })
})
