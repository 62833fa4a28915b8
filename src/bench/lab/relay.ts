import { type ChildProcess, fork } from 'node:child_process'
import { ProcessError } from '../errors.ts'
import { type AskRelay, Link, type LinkInit } from './link.ts'
import { programUrl } from './program.ts'
import type { RelayAnswer, RelayRequest } from './relay-requests.ts'

interface Waiting {
  resolve: (result: never) => void
  reject: (error: Error) => void
}

/** The user-space TCP relay, in a child process of its own. Its links end with it, and it ends with this process. */
export class Relay {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  #lastId = 0

  constructor() {
    this.#child = fork(programUrl('relay-process', import.meta.url), { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child.on('message', (answer: RelayAnswer) => this.#settle(answer))
    this.#exited = new Promise(resolve => {
      this.#child.once('exit', (status, signal) => {
        this.#fail(`ended with ${signal ?? `status ${status}`}`)
        resolve()
      })
      this.#child.on('error', error => {
        this.#fail(`failed: ${error.message}`)
        // A process that was never there does not exit.
        if (this.#child.pid === undefined) resolve()
      })
    })
  }

  /** Undefined where the process could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Opens a port on loopback that leads to `init.target`. @throws {ProcessError} when the relay refuses, or has ended */
  startLink(init: LinkInit, onClosed: () => Promise<void> = () => Promise.resolve()): Promise<Link> {
    return Link.open(init, this.#ask, onClosed)
  }

  /** Ends all links and the process. Safe to call twice, and after it has ended. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#exited
  }

  readonly #ask: AskRelay = (call, argument) =>
    new Promise((resolve, reject) => {
      const request: RelayRequest = { id: ++this.#lastId, call, argument }
      this.#waiting.set(request.id, { resolve, reject })
      this.#child.send(request, error => {
        if (error !== null) this.#fail(`is gone: ${error.message}`)
      })
    })

  #settle(answer: RelayAnswer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(this.#error(answer.error))
    else waiting?.resolve(answer.result as never)
  }

  #fail(what: string): void {
    for (const waiting of this.#waiting.values()) waiting.reject(this.#error(what))
    this.#waiting.clear()
  }

  #error(what: string): ProcessError {
    return new ProcessError(`the link relay ${what}`, { pid: this.#child.pid, exitCode: this.#child.exitCode })
  }
}

/** One link in a relay of its own, which ends with the link. */
export async function startLink(init: LinkInit): Promise<Link> {
  const relay = new Relay()
  try {
    return await relay.startLink(init, () => relay.close())
  } catch (error) {
    await relay.close()
    throw error
  }
}
