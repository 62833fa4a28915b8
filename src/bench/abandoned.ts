import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { TimeoutError } from '../base/index.ts'
import type { Child } from './child.ts'
import type { ClientCalls } from './client/client-calls.ts'
import { ServerProcess } from './processes.ts'
import { programUrl } from './program.ts'
import type { Census } from './session-census.ts'

export interface AbandonedInit {
  readonly serve: readonly string[]
  readonly shippedModel: string
  readonly sessions: number
  readonly folder: string
  readonly onProgress: (what: string) => void
}

/** Memory in bytes, each time after a collection. */
export interface AbandonedFigures {
  readonly sessions: number
  /** Opened and abandoned before memory was looked at first. */
  readonly warmup: number
  readonly before: Memory
  readonly after: Memory
  /** Of what is in use, as a share. */
  readonly growth: number
  /** Calls of the hooks for the sessions that count. */
  readonly started: number
  readonly evicted: number
  /** Calls that were not due. */
  readonly wrong: number
}

export interface Memory {
  /** All that the process has. */
  readonly resident: number
  /** Of it JavaScript's heap, in use and in reserve: V8 gives pages back when it likes, mostly not. */
  readonly heap: number
  readonly reserve: number
  /** Resident without the reserve: what sessions may have left behind. */
  readonly inUse: number
}

const second = 1000
/** So many sessions, as a share of those that count, fill caches, pools and the allocator's arenas first. */
const warmupShare = 0.2
const rows = 64
const graceMs = 50
const censusTimeoutMs = 60 * second
const pollMs = 50
/** Of so many looks at memory, a second apart, the least counts: what is free is given back by and by. */
const looks = 10

/** Clients that open sessions and go without a word: what is left of them on the server, in memory and by its hooks. */
export async function measureAbandoned(client: Child<ClientCalls>, init: AbandonedInit): Promise<AbandonedFigures> {
  const { serve, shippedModel: model, sessions, folder, onProgress } = init
  const file = join(folder, 'census.json')
  const hooks = fileURLToPath(programUrl('session-census', import.meta.url))
  const limits = ['--max-sessions', String(rows), '--max-length', '16', '--threads', '1', '--grace', `${graceMs}ms`]
  const where = ['--model', model, '--blocks', 'all', '--listen', '/ip4/127.0.0.1/tcp/0', '--log-format', 'json']
  const server = await ServerProcess.start({
    arguments: ['--expose-gc', ...serve, ...where, ...limits, '--log-level', 'warn', '--hooks', hooks],
    environment: { SESSION_CENSUS: file }
  })
  const warmup = Math.ceil(warmupShare * sessions)
  const census = new Censuses(server.pid, file)
  try {
    const peers = server.ready.addresses.slice(0, 1)
    const { chain } = await client.ask('connect', { model, peers, threads: 1 })
    const abandon = async (count: number, of: number): Promise<Census> => {
      await client.ask('abandon', { chain, sessions: count })
      await census.evictedAll(of)
      return census.least()
    }
    onProgress(`opening and abandoning ${warmup} sessions to warm up`)
    const before = await abandon(warmup, warmup)
    onProgress(`opening and abandoning ${sessions} sessions`)
    const after = await abandon(sessions, warmup + sessions)
    return {
      ...{ sessions, warmup, before: memoryOf(before), after: memoryOf(after) },
      growth: memoryOf(after).inUse / memoryOf(before).inUse - 1,
      started: after.started - before.started,
      evicted: after.evicted - before.evicted,
      wrong: after.wrong
    }
  } finally {
    await server.stop()
  }
}

/** Asks the server's process for censuses. */
class Censuses {
  readonly #pid: number
  readonly #file: string
  #taken = 0

  constructor(pid: number, file: string) {
    this.#pid = pid
    this.#file = file
  }

  /** Waits until the hooks heard of the end of so many sessions. */
  async evictedAll(sessions: number): Promise<void> {
    const deadline = performance.now() + censusTimeoutMs
    while ((await this.#take()).evicted < sessions) {
      if (performance.now() > deadline) throw new TimeoutError('the end of abandoned sessions', censusTimeoutMs)
      await setTimeout(pollMs)
    }
  }

  async least(): Promise<Census> {
    let least = await this.#take()
    for (let i = 1; i < looks; i++) {
      await setTimeout(second)
      const next = await this.#take()
      if (memoryOf(next).inUse < memoryOf(least).inUse) least = next
    }
    return least
  }

  async #take(): Promise<Census> {
    process.kill(this.#pid, 'SIGUSR2')
    const wanted = ++this.#taken
    const deadline = performance.now() + censusTimeoutMs
    while (performance.now() < deadline) {
      const census = await this.#read()
      if (census !== null && census.number >= wanted) return census
      await setTimeout(pollMs)
    }
    throw new TimeoutError('a census of the server', censusTimeoutMs)
  }

  async #read(): Promise<Census | null> {
    try {
      return JSON.parse(await readFile(this.#file, 'utf8')) as Census
    } catch (thrown) {
      if (thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT') return null
      throw thrown
    }
  }
}

function memoryOf({ rss, heapUsed, heapTotal }: Census): Memory {
  const reserve = heapTotal - heapUsed
  return { resident: rss, heap: heapUsed, reserve, inUse: rss - reserve }
}
