import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { benchGpu } from '../../src/bench/gpu.ts'
import { blockBytes, demandDisk, partByRoom } from '../../src/bench/gpu-room.ts'

const llama8B = { hiddenSize: 4096, heads: 32, kvHeads: 8, mlpSize: 14_336 }
const GiB = 2 ** 30
/** 16 sessions of 4096 tokens and a piece of a prompt. */
const cachedTokens = 16 * (4096 + 128 + 1)
const part = (freeBytes: number) => partByRoom([1, 4, 12], { shape: llama8B, elementBytes: 2, cachedTokens, freeBytes })

test('a block of Llama 8B is 218 million weights', () => {
  expect(blockBytes(llama8B, 2)).toBe(2 * 218_103_808)
})

test('spans are measured that a GPU has room for, and the others told', () => {
  expect(part(80 * GiB)).toEqual({ blocks: [1, 4, 12], leftOut: [] })
  const { blocks, leftOut } = part(6 * GiB)
  expect(blocks).toEqual([1, 4])
  expect(leftOut).toMatchObject([{ blocks: 12, freeBytes: 6 * GiB }])
  expect(leftOut[0]!.bytes / GiB).toBeCloseTo(8.97, 1)
  expect(part(GiB).blocks).toEqual([])
})

test('a disk without room is told before anything is written to it', async () => {
  await demandDisk(tmpdir(), 1)
  const refused = { code: 'MEASUREMENT_FAILED', message: expect.stringContaining('TMPDIR') as string }
  await expect(demandDisk(tmpdir(), 2 ** 60)).rejects.toMatchObject(refused)
})

const outside = process.env['TMPDIR']
let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-bench-'))
  process.env['TMPDIR'] = folder
})
afterEach(async () => {
  if (outside === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = outside
  await rm(folder, { recursive: true })
})

test.each(['writing a model of random weights', 'spans of 1 blocks', 'spans of 2 blocks'])(
  'interrupted at "%s" it leaves nothing behind',
  async moment => {
    const controller = new AbortController()
    const onProgress = (what: string): void => {
      if (what === moment) controller.abort()
    }
    const benching = benchGpu({ device: 'cpu', rounds: 1, onProgress, signal: controller.signal })
    await expect(benching).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await readdir(folder)).toEqual([])
  }
)
