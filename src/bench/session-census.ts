// Hooks for `serve --hooks`, in the process that is measured: counts what it is told of sessions, and on SIGUSR2 writes that
// and what memory is left after a collection (`node --expose-gc`) to the file that SESSION_CENSUS names.
import { renameSync, writeFileSync } from 'node:fs'

/** What a server's process knows of its sessions and of itself. Bytes. */
export interface Census {
  /** How often it was taken. */
  readonly number: number
  readonly started: number
  readonly evicted: number
  /** Calls of a hook that were not the one that was due: twice for one session, or in the wrong order. */
  readonly wrong: number
  readonly rss: number
  readonly heapUsed: number
  readonly heapTotal: number
}

const open = new Set<string>()
let [number, started, evicted, wrong] = [0, 0, 0, 0]

export function onStart({ id, owner }: { id: string; owner: string }): void {
  started++
  const key = `${owner}/${id}`
  if (open.has(key)) wrong++
  open.add(key)
}

export function onEvict({ id, owner }: { id: string; owner: string }): void {
  evicted++
  if (!open.delete(`${owner}/${id}`)) wrong++
}

const { SESSION_CENSUS: file } = process.env
const collect = (globalThis as { gc?: () => void }).gc

if (file !== undefined) process.on('SIGUSR2', () => void take(file))

async function take(path: string): Promise<void> {
  // What one collection frees lets go of more for the next.
  for (let i = 0; i < 3; i++) {
    collect?.()
    await new Promise(resolve => setImmediate(resolve))
  }
  const { rss, heapUsed, heapTotal } = process.memoryUsage()
  const census: Census = { number: ++number, started, evicted, wrong, rss, heapUsed, heapTotal }
  writeFileSync(`${path}.new`, JSON.stringify(census))
  renameSync(`${path}.new`, path)
}
