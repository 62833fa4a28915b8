import { randomBytes } from 'node:crypto'
import { link, open, readFile, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { makeFolder } from '../base/index.ts'
import { IdentityError } from './errors.ts'
import { generateIdentityPem, type Identity, identityFromPem } from './identity.ts'

/**
 * The identity kept in `file` (PKCS #8 PEM, mode 0600), created there when absent. Of several processes that create it
 * at once all get the same one.
 *
 * @throws IdentityError when others can read the file, or it holds no Ed25519 key
 */
export async function loadIdentity(file: string): Promise<Identity> {
  try {
    await refuseOpenFile(file)
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    await createFile(file)
    await refuseOpenFile(file)
  }
  const pem = await readFile(file, 'utf8')
  try {
    return await identityFromPem(pem)
  } catch (cause) {
    throw new IdentityError(file, 'holds no Ed25519 private key (PKCS #8 PEM): move it away, and a new one is made', {
      cause
    })
  }
}

async function refuseOpenFile(file: string): Promise<void> {
  const stats = await stat(file)
  if (!stats.isFile())
    throw new IdentityError(file, 'is no file: give one that holds a private key, or that is to be made')
  const { mode } = stats
  if (process.platform === 'win32' || (mode & 0o077) === 0) return
  const octal = (mode & 0o777).toString(8).padStart(4, '0')
  throw new IdentityError(file, `can be read or written by others (mode ${octal}): run chmod 600 ${file}`, {
    details: { mode: octal }
  })
}

/** Writes aside, then links: the name appears with the whole key behind it, and never replaces another's. */
async function createFile(file: string): Promise<void> {
  await makeFolder(dirname(file), 0o700)
  const aside = `${file}.${randomBytes(6).toString('hex')}`
  const handle = await open(aside, 'wx', 0o600)
  try {
    await handle.writeFile(generateIdentityPem())
    await handle.sync()
    await link(aside, file)
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  } finally {
    await handle.close()
    await unlink(aside)
  }
}

function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
