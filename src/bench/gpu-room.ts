import { statfs } from 'node:fs/promises'
import type { RandomModelInit } from '../model/index.ts'
import { MeasurementError } from './errors.ts'

type Shape = Pick<RandomModelInit, 'hiddenSize' | 'heads' | 'kvHeads' | 'mlpSize'>

/** Spans that a device has no room for. */
export interface LeftOut {
  readonly blocks: number
  /** That they take of the device's memory. */
  readonly bytes: number
  readonly freeBytes: number
}

/** An allowance for CUDA itself and for what runs take, as `serve` makes. */
const gpuBaseBytes = 2 ** 30

/** Of one block, norms left out. */
export function blockBytes({ hiddenSize, heads, kvHeads, mlpSize }: Shape, elementBytes: number): number {
  const keysAndValues = (2 * hiddenSize * kvHeads * hiddenSize) / heads
  return elementBytes * (2 * hiddenSize ** 2 + keysAndValues + 3 * hiddenSize * mlpSize)
}

/** Parts the numbers of blocks into those whose weights and KV cache a GPU has room for, and the others. */
export function partByRoom(
  counts: readonly number[],
  of: {
    readonly shape: Shape
    readonly elementBytes: number
    readonly cachedTokens: number
    readonly freeBytes: number
  }
): { readonly blocks: number[]; readonly leftOut: LeftOut[] } {
  const { shape, elementBytes, cachedTokens, freeBytes } = of
  const cacheBytes = (elementBytes * cachedTokens * 2 * shape.kvHeads * shape.hiddenSize) / shape.heads
  const all = counts.map(blocks => ({
    blocks,
    bytes: gpuBaseBytes + blocks * (blockBytes(shape, elementBytes) + cacheBytes),
    freeBytes
  }))
  return {
    blocks: all.filter(({ bytes }) => bytes <= freeBytes).map(({ blocks }) => blocks),
    leftOut: all.filter(({ bytes }) => bytes > freeBytes)
  }
}

/** @throws MeasurementError where a folder's disk has no room for so many bytes */
export async function demandDisk(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  if (bavail * bsize >= bytes) return
  const gib = (count: number): string => `${(count / 2 ** 30).toFixed(1)} GiB`
  throw new MeasurementError(
    `the model to be measured takes ${gib(bytes)} of ${folder}, which has ${gib(bavail * bsize)}: name another folder in TMPDIR`
  )
}
