import { mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HostParking } from '../../src/session/index.ts'

let directory = ''
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'andthen-parking-'))
})
afterEach(() => rm(directory, { recursive: true }))

const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251)
const small = 1000
const large = 3 * 1024 * 1024 + 17

describe('HostParking', () => {
  it.each([0, 1, small, large])('gives back %i bytes, from memory and from disk', async length => {
    for (const init of [{ memoryBytes: large }, { disk: { directory, bytes: large } }]) {
      const parking = await HostParking.open(init)
      await parking.put('aa', bytes(length))
      expect(Buffer.compare(await parking.take('aa'), bytes(length))).toBe(0)
      await expect(parking.take('aa')).rejects.toMatchObject({ code: 'PARKED_STATE' })
    }
    expect(await readdir(directory)).toEqual([])
  })

  it('fills memory, then the disk, then refuses; what is taken or dropped makes room', async () => {
    const parking = await HostParking.open({ memoryBytes: small, disk: { directory, bytes: small } })
    await parking.put('aa', bytes(small))
    expect(await readdir(directory)).toEqual([])
    await parking.put('bb', bytes(small))
    expect(await readdir(directory)).toEqual(['bb.kv'])
    expect(parking.fits(1)).toBe(false)
    await expect(parking.put('cc', bytes(1))).rejects.toMatchObject({ code: 'PARKING_FULL' })
    await parking.take('aa')
    await parking.drop('bb')
    await parking.drop('unknown')
    await parking.put('cc', bytes(small))
    await parking.put('dd', bytes(small))
    expect(await readdir(directory)).toEqual(['dd.kv'])
  })

  it.each([
    ['is damaged', async (file: string) => writeFile(file, (await readFile(file)).fill(1, 50, 51))],
    ['is cut short', (file: string) => truncate(file, 500)],
    ['cannot be read', (file: string) => rm(file)]
  ] as const)('a file that %s is an error, and forgotten', async (what, harm) => {
    const parking = await HostParking.open({ disk: { directory, bytes: small } })
    await parking.put('aa', bytes(small).fill(2, 0, 100))
    await harm(join(directory, 'aa.kv'))
    await expect(parking.take('aa')).rejects.toThrow(what)
    expect(parking.fits(small)).toBe(true)
    expect(await readdir(directory)).toEqual([])
  })

  it('a write that fails keeps nothing and gives the room back', async () => {
    const parking = await HostParking.open({ disk: { directory, bytes: small } })
    await writeFile(join(directory, 'aa.kv'), 'in the way')
    await expect(parking.put('aa', bytes(small))).rejects.toMatchObject({ code: 'EEXIST' })
    expect(parking.fits(small)).toBe(true)
  })

  it('deletes what an earlier process left, and nothing else; only the owner may read', async () => {
    await writeFile(join(directory, 'old.kv'), 'x')
    await writeFile(join(directory, 'notes.txt'), 'x')
    const parking = await HostParking.open({ disk: { directory, bytes: small } })
    expect(await readdir(directory)).toEqual(['notes.txt'])
    await parking.put('aa', bytes(small))
    expect((await stat(join(directory, 'aa.kv'))).mode & 0o777).toBe(0o600)
  })
})
