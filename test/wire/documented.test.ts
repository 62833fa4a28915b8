import { createHash, createPrivateKey, sign as signWith } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { describe, expect, it } from 'vitest'
import { openModel } from '../../src/model/index.ts'
import { verifySignature } from '../../src/network/index.ts'
import {
  Codec,
  createDigester,
  FrameDecoder,
  isSignedByServer,
  MessageReader,
  MessageWriter,
  type OwnerMessage,
  ownerFrames,
  prefixed,
  readStatement,
  signReceipt,
  VerifyPolicy,
  Want
} from '../../src/wire/index.ts'

// The worked example of docs/PROTOCOL.md: every ```hex NAME block there is what the code makes of the inputs named here.

const page = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8')

/** The hex blocks by name; what follows a semicolon is for people. */
const documented = new Map(
  [...page.matchAll(/```hex (\S+)\n([^`]*)```/g)].map(([, name = '', text = '']) => [
    name,
    text.replace(/;.*$/gm, '').replace(/\s/g, '')
  ])
)

const hidden = 128
const range = (from: number, count: number): Uint8Array => Uint8Array.from({ length: count }, (_, i) => from + i)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

const model = await openModel(new URL('../../models/tiny-shakespeare', import.meta.url).pathname)
const modelDigest = await model.digest()
const digest = createDigester({ modelDigest, hiddenSize: hidden })
/** Hidden states of one token: 0, 1, 2, ... as little-endian float32. */
const states = new Uint8Array(Float32Array.from({ length: hidden }, (_, i) => i).buffer)
const inputDigest = digest({ boundary: 0, position: 5, n: 1 }, states)
const outputDigest = digest({ boundary: 4, position: 5, n: 1 }, states)

const key = async (first: number) => {
  const seed = range(first, 32)
  const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  return {
    peerId: peerIdFromPrivateKey(await generateKeyPairFromSeed('Ed25519', seed)).toString(),
    sign: (bytes: Uint8Array): Uint8Array => signWith(null, bytes, privateKey)
  }
}
const server = await key(0)
const owner = await key(32)

const open: OwnerMessage & { kind: 'open' } = {
  kind: 'open',
  value: {
    version: 1,
    modelDigest,
    from: 0,
    to: 4,
    id: range(0, 16),
    replace: false,
    maxLength: 64,
    priority: 0,
    codec: Codec.f32,
    verify: VerifyPolicy.digest,
    upstream: '',
    route: null
  }
}
const { version, from, to, id, maxLength, codec, verify } = open.value

const receipt = signReceipt(
  {
    server: server.peerId,
    owner: owner.peerId,
    incarnation: range(16, 16),
    modelDigest,
    from: 0,
    to: 4,
    epoch: 1,
    step: 2,
    position: 5,
    n: 1,
    inputDigest,
    outputDigest
  },
  server.sign
)

function stepFrame(): Uint8Array {
  const sent: Uint8Array[] = []
  const sink = { send: (parts: Uint8Array[]) => sent.push(...parts) > 0 }
  const value = { epoch: 1, step: 2, position: 5, n: 1, want: Want.tensor }
  new MessageWriter<OwnerMessage>({ codec: ownerFrames, sink }).sendTensor({ kind: 'step', value }, states)
  return Buffer.concat(sent)
}

const bytesOf = (name: string): Buffer => Buffer.from(documented.get(name) ?? '', 'hex')

const made: Record<string, Uint8Array> = {
  'model-digest': modelDigest,
  'open-frame': prefixed(
    ownerFrames.encode({ kind: 'open', value: { version, modelDigest, from, to, id, maxLength, codec, verify } }, null)
  ),
  'step-frame': stepFrame().subarray(0, -states.length),
  'input-digest': inputDigest,
  'output-digest': outputDigest,
  statement: receipt.statement,
  signature: receipt.signature
}

/** A field of a decoded message; those left out on the wire are inherited. */
const read = (message: object | undefined, name: string): unknown => Reflect.get(message ?? {}, name)
const plain = (value: unknown): unknown => (value instanceof Uint8Array ? hex(value) : value)

describe('the worked example of docs/PROTOCOL.md', () => {
  it('holds just the blocks that are checked here', () => {
    expect([...documented.keys()].sort()).toEqual([...Object.keys(made), 'digest-preamble'].sort())
  })

  it.each(Object.entries(made))('%s is what the code makes', (name, bytes) => {
    expect(documented.get(name)).toBe(hex(bytes))
  })

  it('names the peers of the seeds', () => {
    for (const { peerId } of [server, owner]) expect(page).toContain(peerId)
  })

  it('hashes the preamble, then the tensor', () => {
    const hash = createHash('sha256').update(bytesOf('digest-preamble')).update(states)
    expect(hash.digest('hex')).toBe(hex(outputDigest))
  })

  it('hashes the JSON that is shown, then the final norm', async () => {
    const [, spec = ''] = /```json model-spec\n([^`]*)\n```/.exec(page) ?? []
    const index = [...model.tensors.values()]
      .map(({ dtype, name, shape }) => ({ dtype, name, shape }))
      .sort((a, b) => (a.name < b.name ? -1 : 1))
    const line = `{"format":"andthen/model/1","index":${JSON.stringify(index)},"spec":${spec}}\n`
    const hash = createHash('sha256')
      .update(line)
      .update(await model.readTensor('model.norm.weight'))
    expect(hash.digest('hex')).toBe(hex(modelDigest))
  })

  it('is a frame of Open that decodes to it', () => {
    const messages: (OwnerMessage | null)[] = []
    const decoder = new FrameDecoder(ownerFrames, {
      onHeader: message => messages.push(message),
      onPayload: () => messages.push(null)
    })
    decoder.push(bytesOf('open-frame'))
    const [message] = messages
    expect(messages).toHaveLength(1)
    expect(message?.kind).toBe('open')
    for (const [name, value] of Object.entries(open.value))
      expect(plain(read(message?.value, name)), name).toEqual(plain(value))
  })

  it('is a frame of Step whose tensor follows', () => {
    const tensors: string[] = []
    const handler = {
      onMessage: (_: OwnerMessage, bytes: number) => new Uint8Array(bytes),
      onTensor: (message: OwnerMessage, tensor: Uint8Array) => tensors.push(`${message.kind} ${hex(tensor)}`)
    }
    const reader = new MessageReader<OwnerMessage>({ codec: ownerFrames, handler }, { maxTensorBytes: 512 })
    reader.push(bytesOf('step-frame'))
    reader.push(states)
    expect(tensors).toEqual([`step ${hex(states)}`])
  })

  it('is a receipt that anyone can verify', () => {
    const shown = {
      statement: bytesOf('statement'),
      signature: bytesOf('signature')
    }
    expect(isSignedByServer(shown, verifySignature)).toBe(true)
    expect(readStatement(shown)).toMatchObject({ server: server.peerId, owner: owner.peerId, step: 2, position: 5 })
  })
})
