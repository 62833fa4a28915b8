import { createServer } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { PORT_ATTEMPTS } from './constants.ts'
import { ListenError } from './errors.ts'
import { parseListenAddress } from './peer-address.ts'

/**
 * The listen addresses with every taken TCP port replaced by the next free one. Addresses that share a port still share
 * one afterwards. Port 0 stays.
 *
 * @throws UsageError when one is not a TCP listen address, ListenError when this machine does not have its host, when a
 *   port may not be used, or when no free one is near
 */
export async function freeListenAddresses(listen: readonly string[]): Promise<string[]> {
  const wanted = listen.map(text => {
    const [host, transport] = multiaddr(parseListenAddress(text)).getComponents()
    return { family: host?.name ?? '', host: host?.value ?? '', port: Number(transport?.value) }
  })
  const absent = await absentAmong(wanted.map(({ host }) => host))
  if (absent !== undefined)
    throw new ListenError(
      absent,
      'this machine has no such address; listen on one that it has (--listen), and announce the other (--announce)'
    )
  const chosen = new Map<number, number>([[0, 0]])
  for (const { port } of wanted) {
    if (chosen.has(port)) continue
    const hosts = wanted.filter(other => other.port === port).map(other => other.host)
    chosen.set(port, await freePort(hosts, port, new Set(chosen.values())))
  }
  return wanted.map(({ family, host, port }) => `/${family}/${host}/tcp/${chosen.get(port)}`)
}

/** Of the listen addresses those whose host this machine has: without IPv6 it has no `/ip6/::`. */
export async function presentListenAddresses(listen: readonly string[]): Promise<string[]> {
  const present = await Promise.all(
    listen.map(text => isPresent(multiaddr(parseListenAddress(text)).getComponents()[0]?.value ?? ''))
  )
  return listen.filter((_, i) => present[i])
}

/** The first host that this machine does not have. */
async function absentAmong(hosts: readonly string[]): Promise<string | undefined> {
  const present = await Promise.all(hosts.map(isPresent))
  return hosts.find((_, i) => !present[i])
}

async function isPresent(host: string): Promise<boolean> {
  const error = await tryPort(host, 0)
  return error !== 'EADDRNOTAVAIL' && error !== 'EAFNOSUPPORT'
}

async function freePort(hosts: readonly string[], first: number, used: ReadonlySet<number>): Promise<number> {
  const last = Math.min(first + PORT_ATTEMPTS, 65_535)
  for (let port = first; port <= last; port++) {
    if (used.has(port)) continue
    const errors = await Promise.all(hosts.map(host => tryPort(host, port)))
    const refused = errors.find(error => error === 'EACCES')
    if (refused !== undefined)
      throw new ListenError(`port ${port}`, 'ports below 1024 need privileges: take a higher one')
    if (!errors.includes('EADDRINUSE')) return port
  }
  throw new ListenError(`port ${first}`, `it and all others up to ${last} are taken`)
}

/** Listens and stops at once; the error's code, undefined when the port is free. */
function tryPort(host: string, port: number): Promise<string | undefined> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    server.listen({ host, port, ipv6Only: true }, () => server.close(() => resolve(undefined)))
  })
}
