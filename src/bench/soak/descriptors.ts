import { readdir, readFile } from 'node:fs/promises'

/** Files and sockets that a process has open; null where the system does not tell. */
export async function descriptorsOf(pid: number): Promise<number | null> {
  try {
    return (await readdir(`/proc/${pid}/fd`)).length
  } catch {
    // No /proc here, or a process of somebody else.
    return null
  }
}

/** Memory of a process that is in use now; null where the system does not tell. */
export async function residentBytesOf(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? []
  return kibibytes === undefined ? null : Number(kibibytes) * 1024
}
