import { setImmediate } from 'node:timers/promises'
import { type Slab, tokenBytes } from '../binding.ts'

/** Copied at a time: a fraction of a millisecond of the event loop. */
const pieceBytes = 1024 * 1024

/** Where a row's tokens lie: for each layer its keys, then its values, each [rows, heads, capacity, headDim] float32. */
export interface RowPlace {
  readonly slab: Slab
  readonly caches: readonly Uint8Array[]
  readonly row: number
  readonly tokens: number
}

/** The row's tokens, packed. */
export async function saveRow(place: RowPlace): Promise<Uint8Array> {
  const state = new Uint8Array(place.tokens * tokenBytes(place.slab))
  await copyPieces(place, (piece, at) => state.set(piece, at))
  return state
}

/** Puts back what `saveRow` gave. */
export async function loadRow(place: RowPlace, state: Uint8Array): Promise<void> {
  await copyPieces(place, (piece, at) => piece.set(state.subarray(at, at + piece.length)))
}

async function copyPieces(place: RowPlace, copy: (piece: Uint8Array, at: number) => void): Promise<void> {
  let at = 0
  let sinceTurn = 0
  for (const piece of piecesOf(place)) {
    copy(piece, at)
    at += piece.length
    sinceTurn += piece.length
    if (sinceTurn < pieceBytes) continue
    sinceTurn = 0
    await setImmediate()
  }
}

function* piecesOf({ slab, caches, row, tokens }: RowPlace): Generator<Uint8Array> {
  for (const [index, { heads, headDim }] of slab.layers.entries()) {
    for (const cache of caches.slice(2 * index, 2 * index + 2)) {
      for (let head = 0; head < heads; head++) {
        const start = (row * heads + head) * slab.capacity * headDim * Float32Array.BYTES_PER_ELEMENT
        const end = start + tokens * headDim * Float32Array.BYTES_PER_ELEMENT
        for (let from = start; from < end; from += pieceBytes) {
          yield cache.subarray(from, Math.min(end, from + pieceBytes))
        }
      }
    }
  }
}
