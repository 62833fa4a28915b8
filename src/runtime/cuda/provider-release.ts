import { open } from 'node:fs/promises'

/** Read at a time. */
const pieceBytes = 4 * 1024 * 1024

/** A release of ONNX Runtime, as a string of its own in a library's data. */
const releases = /\0(1\.\d{1,2}\.\d{1,2})(?=\0)/g
/** With the zeros around it. */
const longestRelease = 9

/**
 * The release of ONNX Runtime that a provider was built from, where that is another than `expected`. Its text is the only
 * place that says so, and loading it to ask is no way: provider and library call each other through tables that change from
 * release to release, and a process with two of them crashes.
 *
 * @returns null where it is the expected one, or cannot be told
 */
export async function otherRelease(provider: string, expected: string): Promise<string | null> {
  const file = await open(provider, 'r')
  try {
    const piece = Buffer.alloc(pieceBytes)
    let carried = ''
    let other: string | null = null
    for (;;) {
      const { bytesRead } = await file.read(piece, 0, pieceBytes)
      if (bytesRead === 0) return other
      const text = carried + piece.toString('latin1', 0, bytesRead)
      for (const [, release = ''] of text.matchAll(releases)) {
        if (release === expected) return null
        other = release
      }
      carried = text.slice(-longestRelease)
    }
  } finally {
    await file.close()
  }
}
