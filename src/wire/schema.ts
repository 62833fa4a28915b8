import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { DIGEST_BYTES, KEY_BYTES } from './constants.ts'
import { WireError } from './errors.ts'
import type {
  AttachMessage,
  Fragment,
  Info,
  OwnerMessage,
  PushMessage,
  Receipt,
  ServerMessage,
  Statement
} from './messages.ts'

// src/wire and dist/wire lie equally deep, so the one path serves both.
const root = protobuf.loadSync(fileURLToPath(new URL('../../proto/andthen.proto', import.meta.url)))

const noBytes = new Uint8Array()

/**
 * Makes decoded messages carry every field as a property of their own. protobufjs leaves absent fields to the prototype,
 * where spreading a message loses its zeros.
 */
function ownDefaults(type: protobuf.Type): void {
  const defaults = type.fieldsArray.map(field => {
    const { repeated, typeDefault } = field.resolve()
    return { name: field.name, repeated, value: field.type === 'bytes' ? noBytes : (typeDefault as unknown) }
  })
  type.ctor = class extends protobuf.Message {
    constructor() {
      super()
      const own = this as unknown as Record<string, unknown>
      for (const { name, repeated, value } of defaults) own[name] = repeated ? [] : value
    }
  }
}

const namespace = root.lookup('andthen.v1') as protobuf.Namespace
for (const type of namespace.nestedArray) if (type instanceof protobuf.Type) ownDefaults(type)

/** A field left out is the protocol's default: 0, empty, false or absent. */
type Sparse<T> = T extends Uint8Array | string | number | boolean | null
  ? T
  : T extends (infer U)[]
    ? Sparse<U>[]
    : { [K in keyof T]?: Sparse<T[K]> }

/** A message to be encoded: fields may be left out. */
export type Outgoing<M> = M extends { kind: infer K; value: infer V } ? { kind: K; value: Sparse<V> } : never

/** Encodes and decodes the frames of one direction of one protocol. */
export interface FrameCodec<M> {
  encode(message: Outgoing<M> | null, fragment: Fragment | null): Uint8Array
  /** @throws WireError FRAME_MALFORMED */
  decode(header: Uint8Array): { message: M | null; fragment: Fragment | null }
}

interface DecodedFrame {
  body?: string
  fragment?: Fragment | null
  [kind: string]: unknown
}

/** Bytes fields whose length the protocol fixes; empty stands for absent where the protocol allows it. */
const fixedLengths: Readonly<Record<string, number>> = {
  modelDigest: DIGEST_BYTES,
  digest: DIGEST_BYTES,
  inputDigest: DIGEST_BYTES,
  outputDigest: DIGEST_BYTES,
  pushedDigest: DIGEST_BYTES,
  ownerDigest: DIGEST_BYTES,
  pushKey: KEY_BYTES,
  id: KEY_BYTES,
  incarnation: KEY_BYTES
}

/** Messages within messages that the protocol does not do without. */
const required: Readonly<Record<string, readonly string[]>> = {
  opened: ['lengths', 'credit'],
  output: ['lengths', 'stamps', 'pushes'],
  rewound: ['lengths'],
  resumed: ['lengths', 'credit'],
  push: ['receipt'],
  hops: ['peer']
}

/** Checks what the schema cannot say, of a message and of those within it. */
function checkFields(kind: string, value: object): void {
  for (const name of required[kind] ?? [])
    if (Reflect.get(value, name) === null) throw new WireError('FRAME_MALFORMED', `${kind} lacks ${name}`)
  for (const [name, field] of Object.entries(value)) {
    if (field instanceof Uint8Array) {
      const want = fixedLengths[name]
      if (want !== undefined && field.length !== want && field.length !== 0)
        throw new WireError('FRAME_MALFORMED', `${kind}.${name} has ${field.length} bytes, not ${want}`)
    } else if (typeof field === 'object' && field !== null) {
      const parts: unknown[] = Array.isArray(field) ? field : [field]
      for (const part of parts) if (typeof part === 'object' && part !== null) checkFields(name, part)
    }
  }
}

function frameCodec<M extends { kind: string; value: object }>(name: string): FrameCodec<M> {
  const type = root.lookupType(`andthen.v1.${name}`)
  return {
    encode(message, fragment) {
      const frame: Record<string, unknown> = {}
      if (message !== null) frame[message.kind] = message.value
      if (fragment !== null) frame['fragment'] = fragment
      return type.encode(frame).finish()
    },
    decode(header) {
      let frame: DecodedFrame
      try {
        frame = type.decode(header)
      } catch (cause) {
        throw new WireError('FRAME_MALFORMED', `a ${name} of ${header.length} bytes does not decode`, { cause })
      }
      const kind = frame.body
      const fragment = frame.fragment ?? null
      if (kind === undefined) return { message: null, fragment }
      const value = frame[kind]
      if (typeof value === 'object' && value !== null) checkFields(kind, value)
      return { message: { kind, value } as unknown as M, fragment }
    }
  }
}

export const ownerFrames = frameCodec<OwnerMessage>('OwnerFrame')
export const serverFrames = frameCodec<ServerMessage>('ServerFrame')
export const pushFrames = frameCodec<PushMessage>('PushFrame')
export const attachFrames = frameCodec<AttachMessage>('AttachFrame')

function messageCodec<T>(name: string): { encode(value: Sparse<T>): Uint8Array; decode(bytes: Uint8Array): T } {
  const type = root.lookupType(`andthen.v1.${name}`)
  return {
    encode: value => type.encode(value as Record<string, unknown>).finish(),
    decode(bytes) {
      try {
        return type.decode(bytes) as unknown as T
      } catch (cause) {
        throw new WireError('FRAME_MALFORMED', `a ${name} of ${bytes.length} bytes does not decode`, { cause })
      }
    }
  }
}

export const infoMessage = messageCodec<Info>('Info')
export const statementMessage = messageCodec<Statement>('Statement')
export const receiptMessage = messageCodec<Receipt>('Receipt')
