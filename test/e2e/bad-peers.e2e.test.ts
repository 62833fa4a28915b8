import { once } from 'node:events'
import { connect as dial } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import type { ServerProcess } from '../../src/bench/index.ts'
import { openSession } from '../../src/inference/index.ts'
import { createIdentity, createNetwork, type Network, type PeerStream } from '../../src/network/index.ts'
import { connect } from '../../src/node/index.ts'
import {
  INFERENCE_PROTOCOL,
  INFO_PROTOCOL,
  MessageReader,
  ownerFrames,
  prefixed,
  PUSH_PROTOCOL,
  serverFrames,
  type ServerMessage
} from '../../src/wire/index.ts'
import { evenSpans, goldens, shakespeare, shakespeareBlocks } from './model.ts'
import { addressesOf, serveSpans, sessionsOf, stopAll } from './swarm.ts'

// Whatever strangers send, a server says what is wrong with it where somebody listens, keeps no session for it, and goes
// on serving others.

let servers: ServerProcess[] = []
let network: Network
beforeAll(async () => {
  servers = await serveSpans(evenSpans(shakespeareBlocks, 2))
  network = await createNetwork({ identity: await createIdentity() })
})
afterAll(async () => {
  await network.close()
  await stopAll(servers)
})

/** Two servers that were ill-treated give the golden text, by push, and keep nothing of what came before. */
async function servesOthers(): Promise<void> {
  const { prompt, greedy_ids } = goldens[3]!
  const connection = await connect({ model: shakespeare, peers: addressesOf(servers), threads: 1 })
  const result = await connection.generate({ prompt, maxNewTokens: 16 }).result
  await connection.close()
  expect(result.tokenIds).toEqual(greedy_ids.slice(0, 16))
  for (const server of servers) expect(await sessionsOf(server)).toEqual([])
}

/** Bytes without meaning, the same in every run. */
function noise(bytes: number): Uint8Array {
  let state = 1
  return Uint8Array.from({ length: bytes }, () => (state = (state * 48_271) % 0x7fffffff) & 0xff)
}

it.each([
  { name: 'nothing', bytes: new Uint8Array() },
  { name: 'noise', bytes: noise(70_000) },
  { name: 'a web request', bytes: Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n') },
  { name: 'the beginning of a greeting', bytes: Buffer.from('\x13/multistream/1.0.0\n\x07/noise\n\xff\xff', 'latin1') }
])('on the bare socket: $name', async ({ bytes }) => {
  for (const { ready } of servers) {
    const socket = dial(Number(new URL(ready.addresses[0]!.replace(/.*tcp\/(\d+).*/, 'tcp://h:$1')).port), '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    await new Promise(resolve => socket.end(bytes, () => resolve(null)))
    socket.destroy()
  }
  await servesOthers()
})

const open = (protocol: string): Promise<PeerStream> => network.openStream(addressesOf(servers).slice(0, 1), protocol)

/** What a server answers until it ends the stream. */
function answers(stream: PeerStream): Promise<ServerMessage[]> {
  const heard: ServerMessage[] = []
  const handler = {
    onMessage(message: ServerMessage) {
      heard.push(message)
      return null
    },
    onTensor: () => undefined
  }
  const reader = new MessageReader<ServerMessage>({ codec: serverFrames, handler }, { maxTensorBytes: 0 })
  stream.onData = chunk => reader.push(chunk)
  return new Promise(resolve => {
    stream.onClose = () => resolve(heard)
  })
}

const step = { epoch: 0, step: 0, position: 0, n: 1, want: 0, replay: false, next: null, nextNone: false }
const fragment = { tensor: 1, offset: 0, total: 2 ** 20, length: 2 ** 20 }

it.each([
  { name: 'noise', sent: [noise(70_000)], code: /^FRAME_/ },
  { name: 'a header larger than a frame', sent: [Uint8Array.of(0xff, 0xff, 0x7f)], code: 'FRAME_TOO_LARGE' },
  { name: 'a header without an end', sent: [Uint8Array.of(0xff, 0xff, 0xff, 0xff)], code: 'FRAME_TOO_LARGE' },
  {
    name: 'a fragment larger than a frame',
    sent: [prefixed(ownerFrames.encode({ kind: 'step', value: step }, fragment))],
    code: 'FRAME_TOO_LARGE'
  },
  { name: 'a header of no message', sent: [Uint8Array.of(0)], code: 'FRAME_MALFORMED' },
  {
    name: 'a step before a session',
    sent: [prefixed(ownerFrames.encode({ kind: 'step', value: step }, null))],
    code: 'BAD_REQUEST'
  }
])('on an inference stream: $name', async ({ sent, code }) => {
  const stream = await open(INFERENCE_PROTOCOL)
  const answered = answers(stream)
  stream.send(sent)
  expect(await answered).toEqual([
    { kind: 'error', value: expect.objectContaining({ code: expect.stringMatching(code), retryable: false }) }
  ])
  await servesOthers()
})

it.each([PUSH_PROTOCOL, INFO_PROTOCOL])('on a %s stream: noise, unanswered', async protocol => {
  const stream = await open(protocol)
  const received: Uint8Array[] = []
  stream.onData = chunk => void received.push(chunk)
  const ended = new Promise(resolve => {
    stream.onClose = resolve
  })
  stream.send([noise(70_000)])
  if (protocol === INFO_PROTOCOL) void stream.close()
  await ended
  if (protocol === PUSH_PROTOCOL) expect(received).toEqual([])
  await servesOthers()
})

it.each([
  { name: 'another model', change: { modelDigest: noise(32) }, code: 'MODEL_MISMATCH' },
  { name: 'blocks that are not served', change: { from: 0, to: 12 }, code: /BLOCKS/ },
  { name: 'more tokens than are held', change: { maxLength: 100_000 }, code: 'LENGTH_EXCEEDED' }
])('a session of $name', async ({ change, code }) => {
  const { ready } = servers[0]!
  const modelDigest = Buffer.from((ready as unknown as { modelDigest: string }).modelDigest, 'hex')
  const asked = {
    modelDigest,
    from: 0,
    to: 6,
    maxLength: 16,
    verify: 'auto' as const,
    maxTensorBytes: 65_536,
    ...change
  }
  const refused = openSession(
    { network, logger: silentLogger, clock: systemClock },
    { peer: addressesOf(servers).slice(0, 1), ...asked }
  )
  await expect(refused).rejects.toMatchObject({ code: expect.stringMatching(code) })
  await servesOthers()
})
