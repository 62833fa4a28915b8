import { setImmediate } from 'node:timers/promises'
import { cacheBytes, type Slab, tokenBytes } from '../binding.ts'
import type { Copier, Place } from './copier.ts'
import type { Environment } from './environment.ts'
import type { SlabMemory } from './slab.ts'

/** Copied at a time: a fraction of a millisecond of the event loop. */
const pieceBytes = 1024 * 1024

/** Tokens of a row, for each layer its keys, then its values, each [rows, heads, capacity, headDim]. */
export interface RowPlace {
  readonly slab: Slab
  readonly row: number
  readonly tokens: number
}

/** Contiguous bytes of the row: `offset` in the layer's keys or values, number `cache`; `at` in the packed state. */
interface Piece {
  readonly cache: number
  readonly offset: number
  readonly at: number
  readonly bytes: number
}

/** Takes rows out of a slab, packed, and puts them back. */
export interface RowMover {
  save(place: RowPlace): Promise<Uint8Array>
  load(place: RowPlace, state: Uint8Array): Promise<void>
}

/** Of a slab in the host's memory: copied by the event loop, which turns between pieces. */
export class HostRows implements RowMover {
  readonly #slab: SlabMemory

  constructor(slab: SlabMemory) {
    this.#slab = slab
  }

  async save(place: RowPlace): Promise<Uint8Array> {
    const state = new Uint8Array(stateBytes(place))
    await this.#each(place, (piece, at) => state.set(piece, at))
    return state
  }

  load(place: RowPlace, state: Uint8Array): Promise<void> {
    return this.#each(place, (piece, at) => piece.set(state.subarray(at, at + piece.length)))
  }

  async #each(place: RowPlace, copy: (piece: Uint8Array, at: number) => void): Promise<void> {
    const { caches } = this.#slab
    let sinceTurn = 0
    for (const { cache, offset, at, bytes } of piecesOf(place)) {
      const piece = caches[cache]?.subarray(offset, offset + bytes)
      if (piece !== undefined) copy(piece, at)
      sinceTurn += bytes
      if (sinceTurn < pieceBytes) continue
      sinceTurn = 0
      await setImmediate()
    }
  }
}

/** Copies to or from a device between two turns of the event loop: it waits for each that is small. */
const copiesATurn = 16

/** Of a slab on a device: copied by the device, one contiguous piece after the other. */
export class DeviceRows implements RowMover {
  readonly #environment: Environment
  readonly #slab: SlabMemory
  readonly #copier: Copier

  constructor(environment: Environment, slab: SlabMemory, copier: Copier) {
    this.#environment = environment
    this.#slab = slab
    this.#copier = copier
  }

  async save(place: RowPlace): Promise<Uint8Array> {
    const state = unmoved(stateBytes(place))
    return this.#each(place, state, (device, host, bytes) => this.#copier.copy(device, host, bytes))
  }

  async load(place: RowPlace, state: Uint8Array): Promise<void> {
    const steady = state.byteLength > heapBytes ? state : unmoved(state.byteLength)
    if (steady !== state) steady.set(state)
    await this.#each(place, steady, (device, host, bytes) => this.#copier.copy(host, device, bytes))
  }

  /** @returns the state, which is referenced until the last copy is done for that: copies know its address only */
  async #each(place: RowPlace, state: Uint8Array, copy: Copy): Promise<Uint8Array> {
    if (place.tokens === 0) return state
    const { api, memory } = this.#environment
    const { memory: device, tensors } = this.#slab
    const start = api.addressOf(state)
    let copies = 0
    for (const { cache, offset, at, bytes } of piecesOf(place)) {
      const tensor = tensors[cache]
      if (tensor === undefined) throw new RangeError(`the slab has no cache ${cache}`)
      const host = { memory, pointer: start + BigInt(at) }
      await copy({ memory: device, pointer: tensor.pointer + BigInt(offset) }, host, bytes)
      if (++copies % copiesATurn === 0) await setImmediate()
    }
    return state
  }
}

type Copy = (device: Place, host: Place, bytes: number) => Promise<void>

/** V8 may keep smaller typed arrays in its heap, where they move. */
const heapBytes = 1024

function unmoved(bytes: number): Uint8Array {
  return new Uint8Array(new ArrayBuffer(bytes))
}

function stateBytes({ slab, tokens }: RowPlace): number {
  return tokens * tokenBytes(slab)
}

function* piecesOf({ slab, row, tokens }: RowPlace): Generator<Piece> {
  let at = 0
  for (const [index, { heads, headDim }] of slab.layers.entries()) {
    const vector = headDim * cacheBytes[slab.type]
    for (const cache of [2 * index, 2 * index + 1]) {
      for (let head = 0; head < heads; head++) {
        const start = (row * heads + head) * slab.capacity * vector
        const end = start + tokens * vector
        for (let offset = start; offset < end; offset += pieceBytes) {
          const bytes = Math.min(pieceBytes, end - offset)
          yield { cache, offset, at, bytes }
          at += bytes
        }
      }
    }
  }
}
