import { open } from 'node:fs/promises'

/** Fields of a 64-bit little-endian ELF file (System V ABI, "Object Files"): offsets and sizes in bytes. */
const header = { size: 64, magic: 0x7f454c46, programsAt: 32, programSizeAt: 54, programCountAt: 56 }
const program = { dynamic: 2, load: 1, offsetAt: 8, addressAt: 16, fileSizeAt: 32 }
const entry = { size: 16, needed: 1, stringTable: 5, stringSize: 10 }

interface Segment {
  readonly type: number
  readonly offset: number
  readonly address: number
  readonly size: number
}

export interface ElfLibrary {
  /**
   * The shared libraries that it asks the system's loader for, in its order (DT_NEEDED). The loader itself names only the
   * first that it misses.
   */
  readonly needed: string[]
  /**
   * The file ends before what it says it holds, as where a copy was interrupted. The loader may map it all the same: the
   * process then dies, by SIGBUS, of what is not there.
   */
  readonly cutOff: boolean
}

/** @returns null for a file that is no 64-bit ELF library */
export async function readElf(file: string): Promise<ElfLibrary | null> {
  const handle = await open(file, 'r')
  const read = async (offset: number, size: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, offset)
    return buffer.subarray(0, bytesRead)
  }
  try {
    const stat = await handle.stat()
    if (!stat.isFile()) return null
    const start = await read(0, header.size)
    const elf64 = start.length === header.size && start.readUInt32BE(0) === header.magic && start[4] === 2
    if (!elf64 || start[5] !== 1) return null
    const [size, count] = [start.readUInt16LE(header.programSizeAt), start.readUInt16LE(header.programCountAt)]
    const programsAt = word(start, header.programsAt)
    if (programsAt + size * count > stat.size) return { needed: [], cutOff: true }
    const segments = segmentsOf(await read(programsAt, size * count), size)
    const ends = segments.filter(({ type }) => type === program.load).map(({ offset, size }) => offset + size)
    if (ends.some(end => end > stat.size)) return { needed: [], cutOff: true }
    const dynamic = segments.find(({ type }) => type === program.dynamic)
    if (dynamic === undefined) return { needed: [], cutOff: false }
    const entries = entriesOf(await read(dynamic.offset, dynamic.size))
    const only = (tag: number): number => entries.find(([found]) => found === tag)?.[1] ?? 0
    const strings = await read(fileOffset(segments, only(entry.stringTable)), only(entry.stringSize))
    const needed = entries.filter(([tag]) => tag === entry.needed).map(([, at]) => text(strings, at))
    return { needed, cutOff: false }
  } finally {
    await handle.close()
  }
}

/** Why a library must not be loaded, for people; null where nothing is known against it. */
export async function cutOffProblem(file: string): Promise<string | null> {
  const elf = await readElf(file)
  return elf?.cutOff === true ? `${file} is cut off, as by a copy that was interrupted: copy or install it again` : null
}

function segmentsOf(table: Buffer, size: number): Segment[] {
  return Array.from({ length: Math.floor(table.length / size) }, (_, i) => {
    const one = table.subarray(i * size)
    return {
      type: one.readUInt32LE(0),
      offset: word(one, program.offsetAt),
      address: word(one, program.addressAt),
      size: word(one, program.fileSizeAt)
    }
  })
}

function entriesOf(table: Buffer): [tag: number, value: number][] {
  return Array.from({ length: Math.floor(table.length / entry.size) }, (_, i) => {
    return [word(table, i * entry.size), word(table, i * entry.size + 8)]
  })
}

/** Where the file has what is loaded at an address. */
function fileOffset(segments: readonly Segment[], address: number): number {
  const found = segments.find(
    ({ type, address: start, size }) => type === program.load && address >= start && address < start + size
  )
  return found === undefined ? 0 : found.offset + address - found.address
}

function text(strings: Buffer, at: number): string {
  return strings.toString('latin1', at, strings.indexOf(0, at))
}

function word(buffer: Buffer, at: number): number {
  return Number(buffer.readBigUInt64LE(at))
}
