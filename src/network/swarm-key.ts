import { readFile } from 'node:fs/promises'
import { fileProblem, UsageError } from '../base/index.ts'

const format = '/key/swarm/psk/1.0.0/, /base16/ and 64 hexadecimal digits, a line each'

/**
 * The key of a private swarm: only nodes that have the same one can connect at all. The file is in go-libp2p's format and
 * is returned as it is, for `NetworkInit.swarmKey`.
 *
 * @throws UsageError when the file cannot be read or is no swarm key
 */
export async function loadSwarmKey(file: string): Promise<Uint8Array> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw new UsageError(`--swarm-key: "${file}" cannot be read: ${fileProblem(cause)}; it should hold ${format}`, {
      cause
    })
  }
  if (!/^\/key\/swarm\/psk\/1\.0\.0\/\r?\n\/base16\/\r?\n[0-9a-f]{64}\s*$/i.test(text)) {
    throw new UsageError(`--swarm-key: "${file}" is no swarm key: it should hold ${format}`)
  }
  return Buffer.from(text.replaceAll('\r', '').trim())
}
