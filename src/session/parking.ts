import { createHash } from 'node:crypto'
import { type FileHandle, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { makeFolder } from '../base/index.ts'
import { ParkedStateError, ParkingFullError } from './errors.ts'
import type { ParkingLot } from './rows.ts'

const suffix = '.kv'
const digestBytes = 32
/** Hashed and written at a time: under a millisecond of the event loop. */
const pieceBytes = 1024 * 1024

export interface HostParkingInit {
  /** @default 0 */
  readonly memoryBytes?: number
  /** A folder of this node alone: what an earlier process left in it is deleted. @default none */
  readonly disk?: { readonly directory: string; readonly bytes: number }
}

type Place = { readonly kind: 'memory'; readonly state: Uint8Array } | { readonly kind: 'disk'; readonly bytes: number }

/**
 * Parks in host memory, then in files: SHA-256 (32 bytes), then the state. Files do not outlive the process's sessions,
 * whose incarnations are lost with it.
 */
export class HostParking implements ParkingLot {
  readonly #memoryBytes: number
  readonly #disk: { readonly directory: string; readonly bytes: number } | undefined
  readonly #places = new Map<string, Place>()
  #memoryUsed = 0
  #diskUsed = 0

  private constructor(init: HostParkingInit) {
    this.#memoryBytes = init.memoryBytes ?? 0
    this.#disk = init.disk
  }

  static async open(init: HostParkingInit): Promise<HostParking> {
    if (init.disk !== undefined) {
      const { directory } = init.disk
      await makeFolder(directory, 0o700)
      const left = (await readdir(directory)).filter(name => name.endsWith(suffix))
      await Promise.all(left.map(name => unlink(join(directory, name))))
    }
    return new HostParking(init)
  }

  fits(bytes: number): boolean {
    return this.#fitsMemory(bytes) || this.#fitsDisk(bytes)
  }

  /** @throws ParkingFullError, or the file system's error */
  async put(key: string, state: Uint8Array): Promise<void> {
    const bytes = state.byteLength
    if (this.#fitsMemory(bytes)) {
      this.#memoryUsed += bytes
      this.#places.set(key, { kind: 'memory', state })
      return
    }
    if (!this.#fitsDisk(bytes)) throw new ParkingFullError(bytes)
    this.#diskUsed += bytes
    this.#places.set(key, { kind: 'disk', bytes })
    try {
      await writeState(this.#file(key), state)
    } catch (thrown) {
      await this.drop(key)
      throw thrown
    }
  }

  async take(key: string): Promise<Uint8Array> {
    const place = this.#places.get(key)
    if (place === undefined) throw new ParkedStateError(key, 'is missing')
    try {
      return place.kind === 'memory' ? place.state : await readState(this.#file(key), key, place.bytes)
    } finally {
      await this.drop(key)
    }
  }

  async drop(key: string): Promise<void> {
    const place = this.#places.get(key)
    this.#places.delete(key)
    if (place?.kind === 'memory') this.#memoryUsed -= place.state.byteLength
    if (place?.kind !== 'disk') return
    this.#diskUsed -= place.bytes
    try {
      await unlink(this.#file(key))
    } catch (thrown) {
      if (!isMissing(thrown)) throw thrown
    }
  }

  #fitsMemory(bytes: number): boolean {
    return this.#memoryUsed + bytes <= this.#memoryBytes
  }

  #fitsDisk(bytes: number): boolean {
    return this.#disk !== undefined && this.#diskUsed + bytes <= this.#disk.bytes
  }

  #file(key: string): string {
    return join(this.#disk?.directory ?? '', key + suffix)
  }
}

async function writeState(path: string, state: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', 0o600)
  try {
    const hash = createHash('sha256')
    for (let at = 0; at < state.byteLength; at += pieceBytes) {
      const piece = state.subarray(at, at + pieceBytes)
      hash.update(piece)
      await writeAll(file, piece, digestBytes + at)
    }
    await writeAll(file, hash.digest(), 0)
  } finally {
    await file.close()
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.byteLength; ) {
    done += (await file.write(bytes, done, bytes.byteLength - done, position + done)).bytesWritten
  }
}

async function readState(path: string, key: string, bytes: number): Promise<Uint8Array> {
  let file: FileHandle
  try {
    file = await open(path, 'r')
  } catch (thrown) {
    throw new ParkedStateError(key, 'cannot be read', { cause: thrown })
  }
  try {
    const digest = new Uint8Array(digestBytes)
    const state = new Uint8Array(bytes)
    const hash = createHash('sha256')
    await readAll(file, digest, 0, key)
    for (let at = 0; at < bytes; at += pieceBytes) {
      const piece = state.subarray(at, at + pieceBytes)
      await readAll(file, piece, digestBytes + at, key)
      hash.update(piece)
    }
    if (!hash.digest().equals(digest)) throw new ParkedStateError(key, 'is damaged')
    return state
  } finally {
    await file.close()
  }
}

async function readAll(file: FileHandle, into: Uint8Array, position: number, key: string): Promise<void> {
  for (let done = 0; done < into.byteLength; ) {
    const { bytesRead } = await file.read(into, done, into.byteLength - done, position + done)
    if (bytesRead === 0) throw new ParkedStateError(key, 'is cut short')
    done += bytesRead
  }
}

function isMissing(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
}
