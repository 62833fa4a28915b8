import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { freeze, type Link, type Relay, type ServerProcess, startServers, thaw } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import type { SessionSnapshot } from '../../src/inference/index.ts'
import { heed } from '../cli/heed.ts'
import { type Ended, Program } from '../cli/program.ts'
import { quietPort } from '../network/ports.ts'
import { until } from '../until.ts'

export { until }

/** Time limit of tests that start many processes, ms: machines that build several things at once are slow. */
export const patience = 180_000

const serveArguments = ['bin/serve', '--log-format', 'json', '--threads', '1']

/** `bin/serve` in a process of its own for each span. One thread each: there may be more of them than cores. */
export function serveSpans(spans: readonly string[], args: readonly string[] = []): Promise<ServerProcess[]> {
  const common = [...serveArguments, '--listen', '/ip4/127.0.0.1/tcp/0', ...args]
  return start(spans.map(blocks => ({ arguments: [...common, '--blocks', blocks] })))
}

const releases = new WeakMap<ServerProcess, () => void>()

async function start(inits: Parameters<typeof startServers>[0]): Promise<ServerProcess[]> {
  const servers = await startServers(inits)
  for (const [i, server] of servers.entries())
    releases.set(
      server,
      heed(`${inits[i]!.arguments.join(' ')}, process ${server.pid}`, () => server.stderr)
    )
  return servers
}

/** Where servers keep the identities of their ports: not with those of this machine's user. */
let dataFolder: Promise<string> | undefined
afterAll(async () => {
  if (dataFolder !== undefined) await rm(await dataFolder, { recursive: true })
})

/** A server that peers reach by a link only. */
export interface LinkedServer {
  readonly server: ServerProcess
  readonly link: Link
}

/** The same, each behind a link of its own, which may be cut; their admin ports are not behind it. */
export async function serveBehindLinks(relay: Relay, spans: readonly string[]): Promise<LinkedServer[]> {
  const places = await Promise.all(
    spans.map(async blocks => {
      // A link must know its target's port before the server listens there.
      const port = await quietPort()
      return { blocks, port, link: await relay.startLink({ target: { host: '127.0.0.1', port } }) }
    })
  )
  dataFolder ??= mkdtemp(join(tmpdir(), 'andthen-swarm-'))
  const common = [...serveArguments, '--data-dir', await dataFolder]
  const servers = await start(
    places.map(({ blocks, port, link }) => {
      const addresses = ['--listen', `/ip4/127.0.0.1/tcp/${port}`, '--announce', `/ip4/127.0.0.1/tcp/${link.port}`]
      return { arguments: [...common, ...addresses, '--blocks', blocks] }
    })
  )
  return places.flatMap(({ link }, i) => ({ server: servers[i]!, link }))
}

export async function stopAll(servers: readonly ServerProcess[]): Promise<void> {
  await Promise.all(servers.map(server => server.stop()))
  for (const server of servers) releases.get(server)?.()
}

/** What `--peers` and `connect` take. */
export const addressesOf = (servers: readonly ServerProcess[]): string[] =>
  servers.flatMap(({ ready }) => ready.addresses.slice(0, 1))

/** `bin/generate` under way. */
export const startGenerating = (servers: readonly ServerProcess[], args: readonly string[]): Program =>
  new Program('generate', ['--peers', addressesOf(servers).join(','), ...args])

/** `bin/generate` to its end. */
export const generating = (servers: readonly ServerProcess[], args: readonly string[]): Promise<Ended> =>
  startGenerating(servers, args).ended

/** What `bin/generate --json` prints; throws with what it said where it failed. */
export async function generate(servers: readonly ServerProcess[], args: readonly string[]): Promise<GenerationResult> {
  const { status, out, err } = await generating(servers, ['--json', ...args])
  if (status !== 0) throw new Error(`generate ended with status ${status}: ${err}`)
  return JSON.parse(out) as GenerationResult
}

/** Ends what sessions are left on a server, as its operator may. */
export async function endSessions(server: ServerProcess): Promise<void> {
  for (const { id } of await sessionsOf(server))
    await fetch(`${server.ready.admin}/sessions/${id}`, { method: 'DELETE' })
}

/** What a node's admin port says of its sessions. */
export async function sessionsOf({ ready }: ServerProcess): Promise<SessionSnapshot[]> {
  const answer = await fetch(`${ready.admin}/sessions`)
  return ((await answer.json()) as { sessions: SessionSnapshot[] }).sessions
}

/** A client that stands still in the middle of its text until it is thawed, and the server that it was found on. */
export interface Caught {
  readonly client: Program
  readonly on: ServerProcess
  /** Lets it go on. */
  thaw(): void
}

/** Tokens of a session in the middle of a golden text: it has 96, and its prompt. */
const middle = { least: 20, most: 70 }

/**
 * Stops a client in the middle of its text. Where this process comes too late, since others had the machine, there is
 * another client: what happens to a text in its middle never happens after its end.
 *
 * @param servers where its session is looked for
 * @param range tokens that the session has then
 */
export async function catchMidway(
  begin: () => Program,
  servers: readonly ServerProcess[],
  { least, most } = middle
): Promise<Caught> {
  const found = async (on: readonly ServerProcess[]): Promise<ServerProcess | undefined> => {
    for (const server of on)
      if ((await sessionsOf(server)).some(({ length }) => length >= least && length <= most)) return server
    return undefined
  }
  for (;;) {
    const client = begin()
    let on: ServerProcess | undefined
    let over = false
    const noteEnd = (): void => {
      over = true
    }
    client.ended.then(noteEnd, noteEnd)
    await until(async () => over || (on = await found(servers)) !== undefined)
    if (on !== undefined && !over) {
      // It may have ended this very moment.
      await freeze(client.pid).catch(() => undefined)
      if ((await found([on])) !== undefined) return { client, on, thaw: () => thaw(client.pid) }
      client.kill('SIGCONT')
    }
    const { status, err } = await client.ended
    if (status !== 0) throw new Error(`the client ended with status ${status}: ${err}`)
  }
}
