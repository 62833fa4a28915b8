import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv4, isIPv6 } from 'node:net'
import { AdminError } from './errors.ts'

/** `127.0.0.0/8`, `::1` or `localhost`. */
export function isLoopback(host: string): boolean {
  if (isIPv4(host)) return host.startsWith('127.')
  return host === '::1' || host === 'localhost'
}

/**
 * Refuses a request whose `Host` names neither an address nor the host that the server was told to listen on: a web
 * page that made its own domain resolve to this machine (DNS rebinding) sends its own name.
 *
 * @param header the request's `Host`, with or without a port
 * @param bound the host that the server listens on
 * @throws AdminError FOREIGN_HOST
 */
export function demandOwnHost(header: string | undefined, bound: string): void {
  const host = hostOf(header ?? '')
  const loopbackOnly = isLoopback(bound)
  const own = host === bound || isLoopback(host) || (!loopbackOnly && (isIPv4(host) || isIPv6(host)))
  if (own) return
  throw new AdminError(
    'FOREIGN_HOST',
    403,
    `the Host "${header ?? ''}" is not this server's: ask ${bound} by its address`
  )
}

/** @throws AdminError TOKEN_WANTED */
export function demandToken(authorization: string | undefined, token: string): void {
  const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
  if (timingSafeEqual(sha256(given), sha256(token))) return
  throw new AdminError('TOKEN_WANTED', 401, 'this server wants its token: send it as "Authorization: Bearer TOKEN"')
}

function hostOf(header: string): string {
  const [, bracketed, plain] = /^(?:\[([^\]]*)\]|([^:]*))(?::\d+)?$/.exec(header) ?? []
  return (bracketed ?? plain ?? '').toLowerCase()
}

/** Digests have one length, which timingSafeEqual wants, and tell nothing of the token's. */
function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
