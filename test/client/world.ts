import { type Logger, ManualClock, silentLogger, TimeoutError } from '../../src/base/index.ts'
import { Chain } from '../../src/client/chain.ts'
import type { RouteName } from '../../src/client/server-choice.ts'
import type { Candidate } from '../../src/client/directory.ts'
import { Standing } from '../../src/client/standing.ts'
import {
  createLedger,
  createSpanLane,
  InferenceServer,
  type InferenceServerInit,
  type Ledger
} from '../../src/inference/index.ts'
import { createIdentity, type Network, PeerUnreachableError, verifySignature } from '../../src/network/index.ts'
import { oldest } from '../../src/session/index.ts'
import { createDigester, type VerifyPolicyName } from '../../src/wire/index.ts'
import { MemoryNetworks, type MemoryStream } from '../inference/server/memory-network.ts'
import { BlockRunner, HIDDEN, statesOf } from './block-runner.ts'

export type Span = readonly [from: number, to: number]
export const BLOCKS = 12

const modelDigest = new Uint8Array(32).fill(7)
const digest = createDigester({ modelDigest, hiddenSize: HIDDEN })
const MAX_LENGTH = 1000

/** Peer ids of servers: what is dialled must be an address of just that peer, so these are real ones. */
const identities = await Promise.all(Array.from({ length: 8 }, () => createIdentity()))
export const nodes: readonly string[] = identities.map(({ peerId }) => peerId)
export const { peerId: owner } = await createIdentity()
/** Another client than the usual one. */
export const { peerId: rival } = await createIdentity()

const nextTurn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const peerOf = (target: string | readonly string[]): string => [target].flat()[0]!.split('/p2p/')[1]!

/** Servers in memory and a client of them, on a clock of their own. Servers may be made to fail. */
export class World {
  readonly clock = new ManualClock(1000)
  readonly servers: InferenceServer[] = []
  /** What each server has done. */
  readonly ledgers: Ledger[] = []
  readonly #networks = new MemoryNetworks()
  readonly #candidates: Candidate[] = []
  readonly #streams = new Map<string, { from: string; stream: MemoryStream }[]>()
  readonly #dead = new Set<string>()
  readonly #frozen = new Set<string>()
  readonly #mute = new Set<string>()
  readonly #unreachable = new Set<string>()
  readonly #held = new Map<string, Promise<void>>()
  readonly #slow = new Map<string, number>()
  readonly #parted = new Set<string>()
  readonly #cutAt = new Map<string, number>()
  readonly #init: Partial<InferenceServerInit>

  private constructor(init: Partial<InferenceServerInit>) {
    this.#init = init
  }

  /** Servers `nodes[0]`, `nodes[1]`, ... of these spans. Of equals the first is the nearest: later ones are spares. */
  static of(...spans: readonly Span[]): Promise<World> {
    return World.with({}, ...spans)
  }

  /** Servers whose sessions are kept so. */
  static async with(init: Partial<InferenceServerInit>, ...spans: readonly Span[]): Promise<World> {
    const world = new World(init)
    for (const span of spans) await world.#add(span)
    return world
  }

  async #add([from, to]: Span): Promise<void> {
    const identity = identities[this.servers.length]!
    const { peerId } = identity
    const { clock } = this
    const runner = new BlockRunner(to - from)
    const ledger = createLedger()
    const server = new InferenceServer(
      {
        facts: { peerId, modelDigest, from, to, hiddenSize: HIDDEN, maxLength: MAX_LENGTH },
        limits: { maxTentative: 4, creditSteps: 8, creditBytes: 1024 * 1024 },
        runner,
        lane: createSpanLane({ clock, runner }, { policy: oldest({ queueDelayMs: 0 }) }),
        digest,
        sign: bytes => identity.sign(bytes),
        verify: verifySignature,
        clock,
        logger: silentLogger,
        ledger,
        network: this.#network(peerId)
      },
      { kvBytesPerToken: 1, ...this.#init }
    )
    await server.start()
    this.servers.push(server)
    this.ledgers.push(ledger)
    const addresses = [`/ip4/127.0.0.1/tcp/1/p2p/${peerId}`]
    const pingMs = this.servers.length
    this.#candidates.push({
      peerId,
      target: addresses,
      addresses,
      from,
      to,
      maxLength: MAX_LENGTH,
      pingMs,
      delegateBytes: server.delegateMemoryBytes > 0 ? server.delegateBytes : 0
    })
  }

  /** Who may have streams to servers: the usual client, and the servers. */
  get parties(): string[] {
    return [owner, ...nodes.slice(0, this.servers.length)]
  }

  /** The process is gone: its streams end, and nobody listens any more until what this returns starts it again. */
  kill(node: number): () => void {
    const peerId = nodes[node]!
    this.#dead.add(peerId)
    for (const { stream } of this.#streams.get(peerId) ?? []) stream.other.abort(new Error('killed'))
    return () => {
      for (const session of [...this.servers[node]!.table.sessions])
        void this.servers[node]!.table.end(session, 'DISCONNECT')
      this.#dead.delete(peerId)
    }
  }

  /** The connection between `from` and this server is gone, with all that was on its way; both live on. */
  cut(node: number, from = owner): void {
    for (const { stream, ...on } of this.#streams.get(nodes[node]!) ?? [])
      if (on.from === from) stream.other.abort(new Error('the connection is gone'))
  }

  /** The usual client's connection to this server is gone whenever as many bytes are sent on it at once, and they with it. */
  cutAt(node: number, bytes: number): void {
    this.#cutAt.set(nodes[node]!, bytes)
  }

  /** Nobody gets a connection to it, though it lives, until what this returns is called. */
  isolate(node: number): () => void {
    const peerId = nodes[node]!
    this.#unreachable.add(peerId)
    return () => void this.#unreachable.delete(peerId)
  }

  /** The first of these two servers gets no connection to the other one, which others reach, until what this returns is called. */
  part(from: number, node: number): () => void {
    const way = `${nodes[from]!} ${nodes[node]!}`
    this.#parted.add(way)
    return () => void this.#parted.delete(way)
  }

  /** The process stands still: its streams stay open, and nothing comes of them. */
  freeze(node: number): void {
    const peerId = nodes[node]!
    this.#frozen.add(peerId)
    for (const { stream } of this.#streams.get(peerId) ?? []) stall(stream)
  }

  /** The process hears all and is too busy to answer anything, until what this returns is called. */
  mute(node: number): () => void {
    const peerId = nodes[node]!
    this.#mute.add(peerId)
    const streams = (): MemoryStream[] => (this.#streams.get(peerId) ?? []).map(({ stream }) => stream.other)
    for (const stream of streams()) stream.stalled = true
    return () => {
      this.#mute.delete(peerId)
      for (const stream of streams()) stream.release()
    }
  }

  /** Nobody gets a stream to it before what this returns is called. */
  hold(node: number): () => void {
    let release: () => void = () => undefined
    const released = new Promise<void>(resolve => {
      release = resolve
    })
    this.#held.set(nodes[node]!, released)
    return release
  }

  /** A stream of `from` to this server takes so many turns of the event loop. */
  slow(from: string, node: number, turns: number): void {
    this.#slow.set(`${from} ${nodes[node]!}`, turns)
  }

  open(init: {
    route: RouteName
    verify?: VerifyPolicyName
    as?: string
    waitMs?: number
    logger?: Logger
    signal?: AbortSignal
  }): Promise<Chain> {
    const { clock } = this
    return Chain.open(
      {
        network: this.#network(init.as ?? owner),
        clock,
        random: () => 0.5,
        logger: init.logger ?? silentLogger,
        digest,
        standing: new Standing({ clock, random: () => 0.5 })
      },
      {
        candidates: this.#candidates,
        modelDigest,
        blocks: BLOCKS,
        hiddenSize: HIDDEN,
        route: init.route,
        verify: init.verify ?? 'auto',
        maxLength: MAX_LENGTH,
        stepTimeoutMs: 30_000,
        waitMs: init.waitMs ?? 30_000
      },
      { signal: init.signal ?? new AbortController().signal }
    )
  }

  /** Lets so many turns of the event loop pass, and no time. */
  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await nextTurn()
  }

  /** Lets time pass until the promise is settled. */
  async drive<T>(promise: Promise<T>): Promise<T> {
    let settled = false
    const settle = (): void => {
      settled = true
    }
    promise.then(settle, settle)
    for (let round = 0; !settled; round++) {
      if (round > 2000) throw new Error('nothing happens any more')
      for (let turn = 0; turn < 30 && !settled; turn++) await nextTurn()
      if (!settled) this.clock.advance(50)
    }
    return promise
  }

  #watchSends(stream: MemoryStream, peer: string): void {
    const send = stream.send.bind(stream)
    stream.send = parts => {
      const going = send(parts)
      const bytes = parts.reduce((sum, { length }) => sum + length, 0)
      if (bytes >= (this.#cutAt.get(peer) ?? Number.POSITIVE_INFINITY)) this.cut(nodes.indexOf(peer))
      return going
    }
  }

  #network(from: string): Network {
    const isGone = (target: string | readonly string[]): boolean =>
      [this.#dead, this.#frozen, this.#mute].some(peers => peers.has(peerOf(target)))
    return {
      ...this.#networks.of(from),
      openStream: async (target, protocol) => {
        const peer = peerOf(target)
        await this.#held.get(peer)
        await this.turns(this.#slow.get(`${from} ${peer}`) ?? 0)
        if (this.#dead.has(peer)) throw new PeerUnreachableError(peer, [], 'refused')
        if (this.#unreachable.has(peer) || this.#parted.has(`${from} ${peer}`))
          throw new PeerUnreachableError(peer, [], 'timeout')
        const stream = this.#networks.open(from, peer, protocol)
        this.#streams.set(peer, [...(this.#streams.get(peer) ?? []), { from, stream }])
        if (this.#frozen.has(peer)) stall(stream)
        if (this.#mute.has(peer)) stream.other.stalled = true
        if (from === owner) this.#watchSends(stream, peer)
        return stream
      },
      ping: (target, { timeoutMs = 0 } = {}) =>
        isGone(target)
          ? new Promise((_, reject) => this.clock.after(timeoutMs, () => reject(new TimeoutError('ping', timeoutMs))))
          : Promise.resolve(1)
    }
  }
}

function stall(stream: MemoryStream): void {
  stream.stalled = true
  stream.other.stalled = true
}

/** Runs a pass of these tokens; what it gives for the last one. */
export async function pass(chain: Chain, tokens: readonly number[]): Promise<number> {
  const hidden = chain.reserve(tokens.length)
  hidden.set(statesOf(tokens))
  const { tensor } = await chain.run(hidden, 'last')
  return new Float32Array(tensor!.slice().buffer)[0]!
}
