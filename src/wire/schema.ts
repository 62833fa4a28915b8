import { fileURLToPath } from 'node:url'
import protobuf from 'protobufjs'
import { DIGEST_BYTES, KEY_BYTES } from './constants.ts'
import { WireError } from './errors.ts'
import type { Fragment, Statement } from './message-parts.ts'
import type { OwnerMessage } from './owner-messages.ts'
import type { AttachMessage, PushMessage } from './push-messages.ts'
import type { Info, ServerMessage } from './server-messages.ts'

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
  incarnation: KEY_BYTES,
  upstreamIncarnation: KEY_BYTES
}

/** Messages within messages that the protocol does not do without. */
const required: Readonly<Record<string, readonly string[]>> = {
  Opened: ['lengths', 'credit'],
  Output: ['lengths', 'stamps', 'pushes'],
  Rewound: ['lengths'],
  Resumed: ['lengths', 'credit'],
  Push: ['receipt'],
  RouteHop: ['peer']
}

type Check = (value: object) => void

const checks = new Map<protobuf.Type, Check>()

/** What the schema cannot say of a message of this type and of those within it, put together once: it runs for every frame. */
function checkOf(type: protobuf.Type): Check {
  const known = checks.get(type)
  if (known !== undefined) return known
  const steps = type.fieldsArray.flatMap(field => checkOfField(type, field.resolve()))
  const check: Check = value => {
    for (const step of steps) step(value)
  }
  checks.set(type, check)
  return check
}

function checkOfField(type: protobuf.Type, { name, type: kind, repeated, resolvedType }: protobuf.Field): Check[] {
  const path = `${type.name}.${name}`
  const length = kind === 'bytes' ? fixedLengths[name] : undefined
  if (length !== undefined)
    return [
      value => {
        const { length: given } = Reflect.get(value, name) as Uint8Array
        if (given !== length && given !== 0)
          throw new WireError('FRAME_MALFORMED', `${path} has ${given} bytes, not ${length}`)
      }
    ]
  if (!(resolvedType instanceof protobuf.Type)) return []
  const inner = checkOf(resolvedType)
  if (repeated)
    return [
      value => {
        for (const part of Reflect.get(value, name) as object[]) inner(part)
      }
    ]
  const demanded = required[type.name]?.includes(name) ?? false
  return [
    value => {
      const part = Reflect.get(value, name) as object | null
      if (part !== null) inner(part)
      else if (demanded) throw new WireError('FRAME_MALFORMED', `${path} is missing`)
    }
  ]
}

function frameCodec<M extends { kind: string; value: object }>(name: string): FrameCodec<M> {
  const type = root.lookupType(`andthen.v1.${name}`)
  const check = checkOf(type)
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
      check(frame)
      const kind = frame.body
      const fragment = frame.fragment ?? null
      if (kind === undefined) return { message: null, fragment }
      const value = frame[kind]
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
  const check = checkOf(type)
  return {
    encode: value => type.encode(value as Record<string, unknown>).finish(),
    decode(bytes) {
      let message: protobuf.Message
      try {
        message = type.decode(bytes)
      } catch (cause) {
        throw new WireError('FRAME_MALFORMED', `a ${name} of ${bytes.length} bytes does not decode`, { cause })
      }
      check(message)
      return message as unknown as T
    }
  }
}

export const infoMessage = messageCodec<Info>('Info')
export const statementMessage = messageCodec<Statement>('Statement')
