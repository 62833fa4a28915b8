const problems: Readonly<Record<string, string>> = {
  EACCES: 'this user may not',
  EEXIST: 'a file is in its place',
  EISDIR: 'it is a folder',
  ELOOP: 'its links lead in a circle',
  EMFILE: 'too many files are open (ulimit -n)',
  ENAMETOOLONG: 'its name is too long',
  ENOENT: 'there is none',
  ENOSPC: 'no space is left on the disk',
  ENOTDIR: 'a part of its path is a file, no folder',
  EPERM: 'this user may not',
  EROFS: 'the file system is read-only'
}

/** Why a file or folder cannot be used, in words for people: Node's own repeat the path and name the system call. */
export function fileProblem(thrown: unknown): string {
  const { code, message = String(thrown) } = (thrown instanceof Error ? thrown : {}) as NodeJS.ErrnoException
  return problems[code ?? ''] ?? message
}

/** The same of one that was to be made: ENOENT is what /proc says of what it has no place for. */
export function makeProblem(thrown: unknown): string {
  const absent = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT'
  return absent ? 'it is not there and cannot be made' : fileProblem(thrown)
}
