import { readFile } from 'node:fs/promises'
import { AndthenError, TimeoutError, UsageError } from '../base/index.ts'

/** A fault was meant for a process that is not there. */
class NoSuchProcessError extends AndthenError {
  override readonly name = 'NoSuchProcessError'
  constructor(pid: number, cause: unknown) {
    super('NO_SUCH_PROCESS', `process ${pid} cannot be signalled: it has ended, or belongs to someone else`, {
      cause,
      details: { pid }
    })
  }
}

/** `kill -9`: the process has no chance to say goodbye; its kernel still closes its sockets. */
export function killHard(pid: number): void {
  signal(pid, 'SIGKILL')
}

/**
 * Stops a process in its tracks; its sockets stay open and silent. Resolves once it has stopped, where the system tells
 * (Linux), so that nothing it does comes later.
 */
export async function freeze(pid: number): Promise<void> {
  signal(pid, 'SIGSTOP')
  if (process.platform === 'linux') await stopped(pid)
}

/** Lets a frozen process go on. */
export function thaw(pid: number): void {
  signal(pid, 'SIGCONT')
}

function signal(pid: number, name: NodeJS.Signals): void {
  // kill(2) takes 0 and negative numbers for whole groups, and 1 is the system itself.
  if (!Number.isInteger(pid) || pid <= 1) throw new UsageError(`${pid} is not the id of a process to end or freeze`)
  try {
    process.kill(pid, name)
  } catch (error) {
    throw new NoSuchProcessError(pid, error)
  }
}

const checks = 1000

async function stopped(pid: number): Promise<void> {
  for (let i = 0; i < checks; i++) {
    if (/^State:\s+[TtZX]/m.test(await readFile(`/proc/${pid}/status`, 'utf8').catch(() => 'State: X'))) return
    await new Promise(resolve => setTimeout(resolve, 1))
  }
  throw new TimeoutError(`stopping process ${pid}`, checks)
}
