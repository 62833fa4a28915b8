import { readFile } from 'node:fs/promises'
import { fileProblem, toAndthenError, UsageError } from '../base/index.ts'
import { verifySignature } from '../network/index.ts'
import { checkProof, NoProofError, type Proven } from '../wire/index.ts'
import { defineCommand } from './command.ts'
import { exitStatus } from './report.ts'

export const verifyProofCommand = defineCommand({
  name: 'verify-proof',
  summary: 'check a proof that a server lied, without any connection',
  flags: {},
  argument: 'FILE',
  options: (_flags, file = '') => ({ file }),
  async run({ file }, { terminal }) {
    terminal.out(`${whatIsProven(check(await readDocument(file), file))}\n`)
    return exitStatus.done
  }
})

/** @throws UsageError where the file cannot be read, NoProofError where it holds no JSON */
async function readDocument(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new UsageError(`"${file}" cannot be read: ${fileProblem(cause)}`, { cause })
  })
  try {
    return JSON.parse(text) as unknown
  } catch (thrown) {
    throw new NoProofError(`"${file}" is no JSON: ${toAndthenError(thrown).message}`)
  }
}

/** @throws NoProofError */
function check(document: unknown, file: string): Proven {
  try {
    return checkProof(document, verifySignature)
  } catch (thrown) {
    throw thrown instanceof NoProofError ? new NoProofError(`"${file}" proves nothing: ${thrown.message}`) : thrown
  }
}

function whatIsProven({ server, epoch, step, statements: [statement], differing }: Proven): string {
  const { from, to, owner, position, n } = statement
  const fields = differing.map(field => field.replace(/[A-Z]/g, letter => ` ${letter.toLowerCase()}`)).join(', ')
  return (
    `proven: server ${server} signed two statements about step ${step} of epoch ${epoch} of one session that differ` +
    `${fields === '' ? '' : ` in ${fields}`} (blocks ${from}-${to}, tokens ${position}-${position + n}, owner ${owner})`
  )
}
