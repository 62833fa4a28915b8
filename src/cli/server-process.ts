import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { AndthenError, TimeoutError } from '../base/index.ts'
import type { ReadyInfo } from '../node/index.ts'

const serveProgram = fileURLToPath(new URL('../../bin/serve', import.meta.url))
/** A small model loads in a second; a machine under load may take many. */
const readyLimitMs = 60_000
/** Sessions are over when a server is stopped: what takes longer hangs. */
const stopLimitMs = 10_000

/** A node in a process of its own. */
export interface ServerProcess {
  readonly info: ReadyInfo
  /** Ends it with SIGTERM, and when that does not help with SIGKILL. */
  stop(): Promise<void>
}

class ServerProcessError extends AndthenError {
  override readonly name = 'ServerProcessError'
  constructor(said: string) {
    super('SERVER_ENDED', `a server ended before it was ready: ${said || 'it said nothing'}`)
  }
}

/**
 * Starts `bin/serve` and waits until it is ready. It has a process group of its own, so that Ctrl-C reaches only the
 * caller, and an IPC channel, by whose loss it notices that the caller is gone.
 *
 * @throws ServerProcessError with the last line that it said; TimeoutError
 */
export async function startServer(args: readonly string[], signal: AbortSignal): Promise<ServerProcess> {
  signal.throwIfAborted()
  const child = spawn(process.execPath, [serveProgram, '--log-format', 'json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    detached: true
  })
  try {
    return { info: await ready(child, signal), stop: () => stopped(child) }
  } catch (error) {
    await stopped(child)
    throw error
  }
}

async function ready(child: ChildProcess, signal: AbortSignal): Promise<ReadyInfo> {
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-2000)
  })
  const output = child.stdout === null ? [] : createInterface({ input: child.stdout })
  const limit = AbortSignal.any([signal, AbortSignal.timeout(readyLimitMs)])
  const stop = () => child.kill('SIGKILL')
  limit.addEventListener('abort', stop)
  try {
    for await (const line of output) {
      const message: unknown = JSON.parse(line)
      if (isReady(message)) return message
    }
  } finally {
    limit.removeEventListener('abort', stop)
  }
  signal.throwIfAborted()
  if (limit.aborted) throw new TimeoutError('starting a server', readyLimitMs)
  throw new ServerProcessError(lastMessage(said))
}

function isReady(message: unknown): message is ReadyInfo {
  return typeof message === 'object' && message !== null && 'event' in message && message.event === 'ready'
}

/** The last log line's message; a line that is no log line, as it is. */
function lastMessage(said: string): string {
  const line = said.trim().split('\n').at(-1) ?? ''
  return (
    /"(?:message|msg)":("(?:[^"\\]|\\.)*")/
      .exec(line)
      ?.slice(1)
      .map(text => String(JSON.parse(text)))[0] ?? line
  )
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), stopLimitMs)
  await exit
  clearTimeout(timer)
}
