import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { TimeoutError } from '../base/index.ts'
import { ProcessError } from './errors.ts'

/** What a server says on stdout once it serves; more fields come with it. */
export interface ReadyEvent {
  event: 'ready'
  peerId: string
  /** Multiaddrs, with the peer id. */
  addresses: string[]
  /** Half open. */
  blocks: [from: number, to: number]
  /** Base URL of its admin port. */
  admin: string
  pid: number
}

export interface ServerInit {
  /** Node's arguments: the program and its own. */
  arguments: readonly string[]
  /** Added to this process's environment. @default {} */
  environment?: Readonly<Record<string, string>>
  /** Until `ready`. Loading a large model takes its time. @default 2 minutes */
  readyTimeoutMs?: number
  /** From SIGTERM, which drains, to SIGKILL. @default 5 seconds */
  stopTimeoutMs?: number
}

const second = 1000
const minute = 60 * second
/** Of stderr: enough for the error and what led to it. */
const keptCharacters = 16 * 1024

/** A server in a process of its own. It ends with this process, however this one ends. */
export class ServerProcess {
  readonly ready: ReadyEvent
  readonly #child: ChildProcess
  readonly #tail: Tail
  readonly #stopTimeoutMs: number

  private constructor(child: ChildProcess, ready: ReadyEvent, tail: Tail, stopTimeoutMs: number) {
    this.#child = child
    this.ready = ready
    this.#tail = tail
    this.#stopTimeoutMs = stopTimeoutMs
  }

  /**
   * Starts a server and waits until it serves.
   *
   * @throws {ProcessError} when it ends before; `details.stderr` is what it wrote last
   * @throws {TimeoutError} when it takes too long; it is ended
   */
  static async start(init: ServerInit): Promise<ServerProcess> {
    const { readyTimeoutMs = 2 * minute, stopTimeoutMs = 5 * second, environment = {} } = init
    const child = spawn(process.execPath, [...init.arguments], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    const tail = new Tail(child)
    if (child.pid !== undefined) guard(child, child.pid)
    const deadline = AbortSignal.timeout(readyTimeoutMs)
    try {
      return new ServerProcess(child, await firstReady(child, tail, deadline), tail, stopTimeoutMs)
    } catch (error) {
      await end(child, 'SIGKILL')
      throw deadline.aborted
        ? new TimeoutError('starting a server', readyTimeoutMs, { details: { stderr: tail.text } })
        : error
    }
  }

  get pid(): number {
    return this.ready.pid
  }

  /** What it wrote to stderr last. */
  get stderr(): string {
    return this.#tail.text
  }

  /** SIGTERM, and SIGKILL where that does not end it in time. Safe to call twice, and after it has ended. */
  async stop(): Promise<void> {
    const force = setTimeout(() => this.#child.kill('SIGKILL'), this.#stopTimeoutMs)
    await end(this.#child, 'SIGTERM')
    clearTimeout(force)
  }
}

/** Starts servers at the same time; when one fails, ends the others and throws what it threw. */
export async function startServers(inits: readonly ServerInit[]): Promise<ServerProcess[]> {
  const started = await Promise.allSettled(inits.map(init => ServerProcess.start(init)))
  const servers = started.flatMap(outcome => (outcome.status === 'fulfilled' ? [outcome.value] : []))
  const failed = started.find(outcome => outcome.status === 'rejected')
  if (failed === undefined) return servers
  await Promise.all(servers.map(server => server.stop()))
  throw failed.reason
}

/** The last characters of a child's stderr. */
class Tail {
  text = ''

  constructor(child: ChildProcess) {
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.text = (this.text + chunk).slice(-keptCharacters)
    })
  }
}

async function firstReady(child: ChildProcess, tail: Tail, deadline: AbortSignal): Promise<ReadyEvent> {
  const ready = new Promise<ReadyEvent>((resolve, reject) => {
    child.once('error', reject)
    // 'close', not 'exit': all of stderr has been read by then.
    child.once('close', exitCode => {
      const last = tail.text.trim().split('\n').at(-1) ?? ''
      const details = { pid: child.pid, exitCode, stderr: tail.text }
      reject(new ProcessError(`the server ended with status ${exitCode} before it was ready: ${last}`, details))
    })
    deadline.addEventListener('abort', () => reject(deadline.reason as Error))
    if (child.stdout === null) return
    createInterface({ input: child.stdout }).on('line', line => {
      const event = parse(line)
      if (event?.event === 'ready') resolve(event)
    })
  })
  return ready
}

function parse(line: string): ReadyEvent | undefined {
  try {
    return JSON.parse(line) as ReadyEvent
  } catch {
    // Other lines are for people.
    return undefined
  }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

/**
 * A shell that waits at the end of a pipe from this process, and ends the child once the pipe breaks: also where this
 * process is killed, and without touching its signal handlers. In a session of its own, since a terminal's Ctrl-C would
 * end it before its work.
 */
function guard(child: ChildProcess, pid: number): void {
  if (process.platform === 'win32') return
  const shell = spawn('/bin/sh', ['-c', 'read -r _; kill -9 "$0" 2>/dev/null', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true
  })
  // Without a shell there is no guard, and the server works all the same.
  shell.on('error', () => undefined)
  shell.unref()
  child.once('exit', () => shell.kill('SIGKILL'))
}
