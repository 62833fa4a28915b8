import { mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Makes a folder and those that lead to it; one that is there stays as it is. Node's own `recursive` tries for ever
 * where the system says ENOENT of a new folder whose parent is there, as /proc does.
 *
 * @param mode of every folder that is made
 * @throws the file system's error
 */
export async function makeFolder(folder: string, mode = 0o777): Promise<void> {
  const problem = await tryMake(folder, mode)
  if (problem === undefined) return
  const parent = dirname(folder)
  if (problem.code !== 'ENOENT' || parent === folder) throw problem
  await makeFolder(parent, mode)
  const still = await tryMake(folder, mode)
  if (still !== undefined) throw still
}

async function tryMake(folder: string, mode: number): Promise<NodeJS.ErrnoException | undefined> {
  try {
    await mkdir(folder, { mode })
  } catch (problem) {
    // What a file system says of a folder that is there differs: EEXIST, or on one that is read-only EROFS.
    const there = await stat(folder).catch(() => null)
    return there?.isDirectory() ? undefined : (problem as NodeJS.ErrnoException)
  }
  return undefined
}
