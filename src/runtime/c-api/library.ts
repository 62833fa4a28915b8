import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { arch, platform } from 'node:process'
import type { default as Koffi } from 'koffi'
import { fileProblem, toAndthenError } from '../../base/index.ts'
import { cutOffProblem } from '../elf.ts'
import { RuntimeLoadError } from '../errors.ts'
import { withoutTelemetry } from '../telemetry.ts'
import { Api } from './api.ts'
import { apiVersion, bindFunctions, type Pointer } from './functions.ts'

const mebibyte = 2 ** 20

/** ONNX Runtime compiles and runs graphs on the stack of the call, which koffi provides; a thread's usual 8 MiB. */
const asyncStackBytes = 8 * mebibyte

/** onnxruntime-node's own libraries lie in a folder named after the Node-API version that it is built for. */
const packageFolder = ['bin', 'napi-v6', platform, arch]

/** koffi unloads a library whose handle is collected, under the feet of whoever kept only addresses in it. */
const loadedForGood: unknown[] = []

const libraryNames: Partial<Record<NodeJS.Platform, { readonly pattern: RegExp; readonly example: string }>> = {
  linux: { pattern: /^libonnxruntime\.so(\.\d+)*$/, example: 'libonnxruntime.so.1' },
  darwin: { pattern: /^libonnxruntime(\.\d+)*\.dylib$/, example: 'libonnxruntime.1.dylib' },
  win32: { pattern: /^onnxruntime\.dll$/, example: 'onnxruntime.dll' }
}

/** Where distributions of ONNX Runtime have its library: the folder itself, an archive's, a Python package's. */
const subfolders = ['', 'lib', join('onnxruntime', 'capi')]

const packageFile = 'onnxruntime-node/package.json'

/**
 * Finds ONNX Runtime's shared library in `folder`, or by default in onnxruntime-node.
 *
 * @throws RuntimeLoadError; `details.library` is where it was looked for
 */
async function findLibrary(folder: string | undefined): Promise<string> {
  const name = libraryNames[platform]
  if (name === undefined) throw new RuntimeLoadError(`no name of ONNX Runtime's library is known for ${platform}`)
  const searched = folder ?? join(dirname(createRequire(import.meta.url).resolve(packageFile)), ...packageFolder)
  await readdir(searched).catch((cause: unknown) => {
    throw new RuntimeLoadError(
      `${searched}, the folder of ONNX Runtime's library, cannot be read: ${fileProblem(cause)}`,
      {
        details: { library: searched },
        cause
      }
    )
  })
  for (const place of subfolders.map(each => join(searched, each))) {
    const file = (await readdir(place).catch(() => [])).filter(entry => name.pattern.test(entry)).sort()[0]
    if (file !== undefined) return join(place, file)
  }
  throw new RuntimeLoadError(
    `no ONNX Runtime library, such as ${name.example}, is in ${searched}, nor in its lib or onnxruntime/capi: give the folder that holds it`,
    { details: { library: searched } }
  )
}

/** Graphs and the layout of the API are tried with the version that onnxruntime-node has; another one may differ in both. */
export function checkVersion(version: string, path: string): void {
  const { version: wanted } = createRequire(import.meta.url)(packageFile) as { version: string }
  const release = (of: string): string => of.split('.').slice(0, 2).join('.')
  if (release(version) === release(wanted)) return
  throw new RuntimeLoadError(
    `${path} is ONNX Runtime ${version}: give one of version ${release(wanted)}, such as ${wanted}`,
    {
      details: { library: path, version, wanted }
    }
  )
}

export async function importKoffi(): Promise<typeof Koffi> {
  try {
    const { default: koffi } = await import('koffi')
    if (koffi.config().async_stack_size !== asyncStackBytes) koffi.config({ async_stack_size: asyncStackBytes })
    return koffi
  } catch (cause) {
    throw new RuntimeLoadError(`koffi does not load on ${platform} ${arch}: ${String(cause)}`, { cause })
  }
}

/**
 * Loads ONNX Runtime and its C API.
 *
 * @param folder - holds the library; by default the one that onnxruntime-node ships
 * @throws RuntimeLoadError when there is no library, it does not load, or it is of another version; `details.library`
 * says which
 */
export async function loadLibrary(folder?: string): Promise<Api> {
  const koffi = await importKoffi()
  const path = await findLibrary(folder)
  withoutTelemetry()
  try {
    const cutOff = await cutOffProblem(path)
    if (cutOff !== null) throw new RuntimeLoadError(cutOff, { details: { library: path } })
    const library = koffi.load(path)
    loadedForGood.push(library)
    const [getApi, getVersion] = koffi.decode(
      library.func('void *OrtGetApiBase()')() as Pointer,
      koffi.array('void *', 2)
    ) as [Pointer, Pointer]
    const version = koffi.call(getVersion, koffi.proto('str', [])) as string
    const api = koffi.call(getApi, koffi.proto('void *', ['uint32_t']), apiVersion) as Pointer | null
    if (api === null) throw new Error(`version ${version} lacks API ${apiVersion}`)
    checkVersion(version, path)
    return new Api(path, version, bindFunctions(koffi, api), koffi)
  } catch (cause) {
    if (cause instanceof RuntimeLoadError) throw cause
    throw new RuntimeLoadError(`ONNX Runtime does not load from ${path}: ${toAndthenError(cause).message}`, {
      details: { library: path },
      cause
    })
  }
}
