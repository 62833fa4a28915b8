import { peerIdFromString } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, it } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { createIdentity } from '../../src/network/index.ts'
import { createCounters } from '../../src/network/counters.ts'
import { Handshakes } from '../../src/network/handshakes.ts'
import { createNode } from '../../src/network/libp2p-node.ts'
import { boundPeers } from '../../src/network/peer-memory.ts'
import { Cluster, until } from './cluster.ts'

it('of peers that were connected, or could not be dialled, the last ones are remembered, and those that are connected', async () => {
  const cluster = new Cluster()
  const { libp2p } = await createNode({
    ...{
      identity: await createIdentity(),
      listen: [],
      gater: {},
      handshakes: new Handshakes({ counters: createCounters() }, { most: 9 }),
      swarmKey: undefined,
      relaying: undefined
    },
    ...{ tcpKeepAliveMs: 0, maxConnections: 9, maxDials: 1, isRelay: () => false, holePunching: false, upnp: false }
  })
  boundPeers({ libp2p, logger: silentLogger }, { most: 2 })
  await libp2p.start()
  try {
    const dial = (address: string): Promise<unknown> => libp2p.dial(multiaddr(address))
    const [here, left] = [await cluster.server(), await cluster.server()]
    await dial(here.addresses()[0] ?? '')
    await dial(left.addresses()[0] ?? '')
    await left.close()
    await until(() => libp2p.getConnections().length === 1)
    const unknown: string[] = []
    for (let i = 0; i < 3; i++) {
      const { peerId } = await createIdentity()
      unknown.push(peerId)
      await expect(dial(`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`)).rejects.toThrow()
    }
    const remembers = (peer: string): Promise<boolean> => libp2p.peerStore.has(peerIdFromString(peer))
    const peers = [here.peerId, left.peerId, ...unknown]
    expect(await Promise.all(peers.map(remembers))).toEqual([true, false, false, true, true])
  } finally {
    await libp2p.stop()
    await cluster.close()
  }
})
