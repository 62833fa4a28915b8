/**
 * libp2p behind small types: who a node is, streams of bytes to and from its peers, and when connections live and die.
 * What travels in the streams is not this room's business.
 */
export { type AccessInit, AccessList } from './access-list.ts'
export type { NetworkCounters } from './counters.ts'
export {
  ConnectionLostError,
  IdentityError,
  ListenError,
  PeerUnreachableError,
  RateLimitedError,
  type UnreachableReason
} from './errors.ts'
export { createIdentity, type Identity } from './identity.ts'
export { loadIdentity } from './identity-file.ts'
export { freeListenAddresses, presentListenAddresses } from './listen.ts'
export { createNetwork } from './create-network.ts'
export type {
  CallOptions,
  HandleOptions,
  Network,
  NetworkInit,
  PeerLimits,
  Reachability,
  Relaying,
  StreamHandler
} from './network.ts'
export {
  type AddressScope,
  isPublicAddress,
  type PeerAddress,
  parseListenAddress,
  hostOf,
  networkOf,
  parseDialAddress,
  parsePeerAddress,
  parseRelayAddress,
  relayOf,
  scopeOf,
  shareOfHost
} from './peer-address.ts'
export type { RelayingInit } from './libp2p-node.ts'
export { type Asker, PeerLimiter } from './peer-limiter.ts'
export type { PeerStream } from './peer-stream.ts'
export type { PeerTarget } from './peer-target.ts'
export { SharedHosts } from './shared-hosts.ts'
export { verifySignature } from './signature.ts'
export { RateLimiter } from './rate-limiter.ts'
export { loadSwarmKey } from './swarm-key.ts'
export type { RateLimit } from './token-buckets.ts'
