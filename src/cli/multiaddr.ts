import { UsageError } from '../base/index.ts'

const example = '/ip4/127.0.0.1/tcp/31226'

/**
 * Checks the shape of a multiaddr, so that a slip is told as one; whether it can be dialed or listened on is for the
 * network to say.
 */
export function parseMultiaddr(text: string): string {
  if (!/^(\/[a-z][a-z0-9-]*(\/[^/\s]+)?)+$/.test(text)) {
    throw new UsageError(`"${text}" is not a multiaddr: write it as ${example}`)
  }
  if (!/^\/(ip4|ip6|dns|dns4|dns6|dnsaddr|p2p)\//.test(text)) {
    throw new UsageError(`"${text}" does not begin with an address: write it as ${example}`)
  }
  const port = /\/tcp\/([^/]+)/.exec(text)?.[1]
  if (port !== undefined && !(/^\d+$/.test(port) && Number(port) <= 65_535)) {
    throw new UsageError(`"${text}" has no port from 0 to 65535 after /tcp/`)
  }
  return text
}
