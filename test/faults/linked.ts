import { type Link, Relay } from '../../src/bench/index.ts'
import type { Swarm } from './swarm.ts'

/** Puts a link of the lab before every node, which all others reach it by; the relay is the caller's to close. */
export async function linked(swarm: Swarm): Promise<{ relay: Relay; links: Link[] }> {
  const relay = new Relay()
  const links: Link[] = []
  for (const { address, peerId, network } of swarm.nodes) {
    const [, port] = /\/tcp\/(\d+)/.exec(address) ?? []
    const link = await relay.startLink({ target: { host: '127.0.0.1', port: Number(port) } })
    links.push(link)
    network.announced = [`/ip4/127.0.0.1/tcp/${link.port}/p2p/${peerId}`]
  }
  return { relay, links }
}
