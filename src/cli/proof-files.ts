import { createHash } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { makeFolder, makeProblem } from '../base/index.ts'
import type { PortableProof } from '../wire/index.ts'
import { value } from './flags.ts'
import { invocationOf } from './invocation.ts'
import { parsePath } from './swarm-flags.ts'
import type { Terminal } from './terminal.ts'

export const proofFlags = {
  dataDir: value('DIR', 'where proofs are kept', parsePath, '~/.andthen'),
  proofDir: value('DIR', 'where proofs that a server lied are written', parsePath, '<data-dir>/proofs')
}

export function proofDirOf(given: { dataDir: string | undefined; proofDir: string | undefined }): string {
  return given.proofDir ?? join(given.dataDir ?? join(homedir(), '.andthen'), 'proofs')
}

/** Writes each proof to a file of its own and says how to check it. What was generated is not lost to a full disk. */
export async function keepProofs(
  proofs: readonly PortableProof[],
  directory: string,
  terminal: Pick<Terminal, 'err'>
): Promise<void> {
  for (const proof of proofs) {
    const text = `${JSON.stringify(proof, null, 2)}\n`
    const file = join(directory, `${proof.server}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}.json`)
    try {
      await makeFolder(directory)
      await writeFile(file, text)
      terminal.err(`server ${proof.server} lied about step ${proof.step}; for the proof: ${verifyLine(file)}\n`)
    } catch (thrown) {
      const why = makeProblem(thrown)
      terminal.err(
        `server ${proof.server} lied about step ${proof.step}; the proof cannot be written to ${file}: ${why}\n`
      )
    }
  }
}

function verifyLine(file: string): string {
  return `${invocationOf('verify-proof')} ${/^[\w./-]+$/.test(file) ? file : `'${file.replaceAll("'", `'\\''`)}'`}`
}
