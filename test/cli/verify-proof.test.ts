import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { keepProofs } from '../../src/cli/proof-files.ts'
import { verifyProofCommand } from '../../src/cli/verify-proof.ts'
import { createIdentity, type Identity } from '../../src/network/index.ts'
import { type PortableProof, portableProof, signReceipt } from '../../src/wire/index.ts'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { recordingTerminal } from './recording-terminal.ts'

let liar: Identity
let proof: PortableProof
beforeAll(async () => {
  liar = await createIdentity()
  const receipt = (output: number) =>
    signReceipt(
      {
        server: liar.peerId,
        owner: 'client',
        incarnation: new Uint8Array(16),
        modelDigest: new Uint8Array(32),
        ...{ from: 0, to: 4, epoch: 1, step: 2, position: 3, n: 5 },
        inputDigest: new Uint8Array(32),
        outputDigest: new Uint8Array(32).fill(output)
      },
      liar.sign
    )
  proof = portableProof({ server: liar.peerId, epoch: 1, step: 2, receipts: [receipt(1), receipt(2)] })
})

async function verifyProof(file: string): Promise<{ status: number; out: string }> {
  const terminal = recordingTerminal()
  const { signal } = new AbortController()
  const context = { terminal, logger: silentLogger, environment: {}, signal }
  const status = await verifyProofCommand.prepare([file], {}).run(context)
  return { status, out: terminal.written.out }
}

describe('verify-proof', () => {
  it('says in one line what was proven', async () => {
    const file = join(await temporaryFolder(), 'proof.json')
    await writeFile(file, JSON.stringify(proof))
    expect(await verifyProof(file)).toEqual({
      status: 0,
      out:
        `proven: server ${liar.peerId} signed two statements about step 2 of epoch 1 of one session that differ in ` +
        'output digest (blocks 0-4, tokens 3-8, owner client)\n'
    })
  })

  it('accepts what generate wrote, and generate says how to check it', async () => {
    const folder = join(await temporaryFolder(), 'a', "b's")
    const terminal = recordingTerminal()
    await keepProofs([proof], folder, terminal)
    const [file = ''] = await readdir(folder)
    expect(JSON.parse(await readFile(join(folder, file), 'utf8'))).toEqual(proof)
    expect((await verifyProof(join(folder, file))).status).toBe(0)
    expect(terminal.written.err.split('\n')).toHaveLength(2)
    expect(terminal.written.err).toContain(`bin/verify-proof '${join(folder, file).replace("'", `'\\''`)}'`)
  })

  it('writing where nothing can be written is told, and no more', async () => {
    const file = join(await temporaryFolder(), 'file')
    await writeFile(file, '')
    const terminal = recordingTerminal()
    await keepProofs([proof], join(file, 'proofs'), terminal)
    expect(terminal.written.err).toContain('cannot be written')
  })

  it.each([
    { name: 'a proof that was changed', text: () => JSON.stringify({ ...proof, step: 3 }), code: 'NO_PROOF' },
    { name: 'another document', text: () => '{}', code: 'NO_PROOF' },
    { name: 'no JSON', text: () => '{', code: 'NO_PROOF' },
    { name: 'no file', text: () => null, code: 'USAGE' }
  ])('refuses $name', async ({ text, code }) => {
    const file = join(await temporaryFolder(), 'proof.json')
    const content = text()
    if (content !== null) await writeFile(file, content)
    await expect(verifyProof(file)).rejects.toMatchObject({
      code,
      message: expect.stringContaining(`"${file}" `) as string
    })
  })
})
