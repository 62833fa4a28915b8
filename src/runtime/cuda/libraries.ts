import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { default as Koffi } from 'koffi'
import { cutOffProblem } from '../elf.ts'

type LibraryHandle = ReturnType<typeof Koffi.load>

/** A library that was looked for. */
export interface CudaLibrary {
  readonly name: string
  /** Where it was loaded from; null where it was not. */
  readonly path: string | null
  /** Why not, in the loader's words. */
  readonly problem?: string
}

/** koffi unloads a library whose handle is collected. */
const loaded = new Map<string, LibraryHandle>()

/**
 * Loads libraries before the one that needs them, from `folders` first, then from wherever the system's loader looks: a
 * library that is in the process already is not looked for again. So the provider finds what lies in folders that the
 * loader does not know.
 */
export async function loadLibraries(
  koffi: typeof Koffi,
  names: readonly string[],
  folders: readonly string[]
): Promise<CudaLibrary[]> {
  const problems = await cutOff(names, folders)
  // Nothing beside a library that is cut off is loaded, either: it may bring it in, from its own folder.
  const [from, absent] = problems.size === 0 ? [folders, 'not found'] : [[], 'not tried beside one that is cut off']
  // Some need each other, in no order that is known here: as long as one more loads, the rest is tried again.
  let left = names.filter(name => !loaded.has(name) && !problems.has(name))
  for (let before = Infinity; left.length > 0 && left.length < before; ) {
    before = left.length
    for (const name of left) {
      const problem = tryFolders(koffi, name, from)
      if (problem === null || problem === '') problems.delete(name)
      else problems.set(name, problem)
    }
    left = left.filter(name => !loaded.has(name))
  }
  const maps = await readFile('/proc/self/maps', 'utf8').catch(() => '')
  return names.map(name => {
    if (!loaded.has(name)) return { name, path: null, problem: problems.get(name) ?? absent }
    return { name, path: pathIn(maps, name) ?? name }
  })
}

/** Of the libraries that are there in part, by their names, why they must not be loaded. */
async function cutOff(names: readonly string[], folders: readonly string[]): Promise<Map<string, string>> {
  const problems = new Map<string, string>()
  for (const name of names) {
    for (const folder of folders) {
      const problem = await cutOffProblem(join(folder, name)).catch(() => null)
      if (problem !== null) problems.set(name, problem)
    }
  }
  return problems
}

/** A library that `loadLibraries` has loaded. */
export function loadedLibrary(name: string): LibraryHandle | undefined {
  return loaded.get(name)
}

let runtime: { setDevice(id: number): void } | undefined

/** CUDA's runtime library as it is loaded, in whichever version; undefined before that. */
export function cudart(): typeof runtime {
  if (runtime !== undefined) return runtime
  const handle = [...loaded].find(([name]) => name.startsWith('libcudart.'))?.[1]
  if (handle === undefined) return undefined
  // A device that does not work is told of by what is done on it next.
  const setDevice = handle.func('int cudaSetDevice(int)')
  runtime = { setDevice: id => void setDevice(id) }
  return runtime
}

/** The loader's words for a file that does not exist (dlopen(3), and koffi's prefix). */
const notThere = /^Failed to load shared library: cannot open shared object file: No such file/

/** The loader's complaint, empty where there is no such file; null where it loaded. */
function tryFolders(koffi: typeof Koffi, name: string, folders: readonly string[]): string | null {
  let problem = ''
  for (const path of [...folders.map(folder => join(folder, name)), name]) {
    try {
      loaded.set(name, koffi.load(path))
      return null
    } catch (error) {
      const { message } = error as Error
      // Of a file that is there and does not load, rather than of the next place where there is none.
      if (!notThere.test(message)) problem = message.replace(/^Failed to load shared library: /, '')
    }
  }
  return problem
}

/** The file behind a library of the process (proc_pid_maps(5)). */
function pathIn(maps: string, name: string): string | undefined {
  const line = maps.split('\n').find(each => each.includes(`/${name}`))
  return line === undefined ? undefined : /\s(\/.*)$/.exec(line)?.[1]
}

/**
 * Folders that hold CUDA's libraries beside ONNX Runtime: its own, and those of NVIDIA's Python packages where pip put
 * it (`SITE/onnxruntime/capi` beside `SITE/nvidia/PACKAGE/lib`).
 */
export async function libraryFolders(runtimeFolder: string): Promise<string[]> {
  const found = [runtimeFolder]
  for (const site of [runtimeFolder, join(runtimeFolder, '../..')]) {
    const packages = await readdir(join(site, 'nvidia')).catch(() => [])
    found.push(...packages.map(name => join(site, 'nvidia', name, 'lib')))
  }
  return found
}
