import { type Link, type Relay, type ServerProcess, startServers } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import type { SessionSnapshot } from '../../src/inference/index.ts'
import { type Ended, program } from '../cli/program.ts'
import { quietPort } from '../network/ports.ts'

/** Time limit of tests that start many processes, ms: machines that build several things at once are slow. */
export const patience = 180_000

const serveArguments = ['bin/serve', '--log-format', 'json', '--threads', '1']

/** `bin/serve` in a process of its own for each span. One thread each: there may be more of them than cores. */
export function serveSpans(spans: readonly string[], args: readonly string[] = []): Promise<ServerProcess[]> {
  const common = [...serveArguments, '--listen', '/ip4/127.0.0.1/tcp/0', ...args]
  return startServers(spans.map(blocks => ({ arguments: [...common, '--blocks', blocks] })))
}

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
  const servers = await startServers(
    places.map(({ blocks, port, link }) => {
      const addresses = ['--listen', `/ip4/127.0.0.1/tcp/${port}`, '--announce', `/ip4/127.0.0.1/tcp/${link.port}`]
      return { arguments: [...serveArguments, ...addresses, '--blocks', blocks] }
    })
  )
  return places.flatMap(({ link }, i) => ({ server: servers[i]!, link }))
}

export async function stopAll(servers: readonly ServerProcess[]): Promise<void> {
  await Promise.all(servers.map(server => server.stop()))
}

/** What `--peers` and `connect` take. */
export const addressesOf = (servers: readonly ServerProcess[]): string[] =>
  servers.flatMap(({ ready }) => ready.addresses.slice(0, 1))

/** `bin/generate` to its end. */
export const generating = (servers: readonly ServerProcess[], args: readonly string[]): Promise<Ended> =>
  program('generate', ['--peers', addressesOf(servers).join(','), ...args])

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

/** Asks again until the answer is yes; the test's own time limit ends it. */
export async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition()));
}
