import { UsageError } from '../base/index.ts'

/** `HOST:PORT`, an IPv6 host in brackets, or `off`. */
export function parseAdmin(text: string): { host: string; port: number } | 'off' {
  if (text === 'off') return 'off'
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535) {
    throw new UsageError(`"${text}" is neither HOST:PORT, such as 127.0.0.1:9090, nor off`)
  }
  return { host, port: Number(port) }
}
