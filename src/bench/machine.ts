import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism, cpus, release, totalmem, type } from 'node:os'
import { join } from 'node:path'

/** Where a figure was taken. */
export interface Machine {
  cpu: string
  /** That this process may use. */
  cores: number
  memoryBytes: number
  kernel: string
  architecture: string
}

/** Versions of what a figure depends on; null where it is not installed. */
export interface Versions {
  andthen: string | null
  node: string
  libp2p: string | null
  onnxruntime: string | null
  koffi: string | null
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    architecture: process.arch
  }
}

export function versions(): Versions {
  return {
    andthen: versionIn(new URL('../../package.json', import.meta.url)),
    node: process.versions.node,
    libp2p: installed('libp2p'),
    onnxruntime: installed('onnxruntime-node'),
    koffi: installed('koffi')
  }
}

/** Read from where a package lies: not every package exports its package.json. */
function installed(name: string): string | null {
  const folders = createRequire(import.meta.url).resolve.paths(name) ?? []
  const file = folders.map(folder => join(folder, name, 'package.json')).find(existsSync)
  return file === undefined ? null : versionIn(file)
}

function versionIn(file: string | URL): string | null {
  const { version } = JSON.parse(readFileSync(file, 'utf8')) as { version?: string }
  return version ?? null
}
