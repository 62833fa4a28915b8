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

/**
 * The shared libraries that a 64-bit ELF library asks the system's loader for, in its order (DT_NEEDED). The loader itself
 * names only the first that it misses.
 *
 * @returns null for a file of another kind
 */
export async function neededLibraries(file: string): Promise<string[] | null> {
  const handle = await open(file, 'r')
  const read = async (offset: number, size: number): Promise<Buffer> => {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, offset)
    return buffer.subarray(0, bytesRead)
  }
  try {
    const start = await read(0, header.size)
    const elf64 = start.length === header.size && start.readUInt32BE(0) === header.magic && start[4] === 2
    if (!elf64 || start[5] !== 1) return null
    const size = start.readUInt16LE(header.programSizeAt)
    const count = start.readUInt16LE(header.programCountAt)
    const segments = segmentsOf(await read(word(start, header.programsAt), size * count), size)
    const dynamic = segments.find(({ type }) => type === program.dynamic)
    if (dynamic === undefined) return []
    const entries = entriesOf(await read(dynamic.offset, dynamic.size))
    const only = (tag: number): number => entries.find(([found]) => found === tag)?.[1] ?? 0
    const strings = await read(fileOffset(segments, only(entry.stringTable)), only(entry.stringSize))
    return entries.filter(([tag]) => tag === entry.needed).map(([, at]) => text(strings, at))
  } finally {
    await handle.close()
  }
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
