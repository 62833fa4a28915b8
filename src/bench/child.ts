import { type ChildProcess, fork } from 'node:child_process'
import { AndthenError } from '../base/index.ts'
import type { Answer, Calls, Request } from './child-calls.ts'
import { ProcessError } from './errors.ts'

export type Ask<C extends Calls<C>> = <K extends keyof C & string>(
  call: K,
  argument: Parameters<C[K]>[0]
) => Promise<Awaited<ReturnType<C[K]>>>

interface Waiting {
  resolve: (result: never) => void
  reject: (error: Error) => void
}

/** A program of the laboratory in a process of its own, which ends with this one. Both talk over Node's IPC channel. */
export class Child<C extends Calls<C>> {
  readonly #name: string
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, Waiting>()
  readonly #exited: Promise<void>
  #lastId = 0

  /** @param name for people, such as `the link relay` */
  constructor(name: string, program: URL) {
    this.#name = name
    this.#child = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#child.on('message', (answer: Answer) => this.#settle(answer))
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

  /** @throws {AndthenError} what the program threw, {@link ProcessError} when it has ended */
  readonly ask: Ask<C> = (call, argument) =>
    new Promise((resolve, reject) => {
      const request: Request = { id: ++this.#lastId, call, argument }
      this.#waiting.set(request.id, { resolve, reject })
      this.#child.send(request, error => {
        if (error !== null) this.#fail(`is gone: ${error.message}`)
      })
    })

  /** Ends the process. Safe to call twice, and after it has ended. */
  async close(): Promise<void> {
    if (this.#child.connected) this.#child.disconnect()
    await this.#exited
  }

  #settle(answer: Answer): void {
    const waiting = this.#waiting.get(answer.id)
    this.#waiting.delete(answer.id)
    if ('error' in answer) waiting?.reject(new AndthenError(answer.error.code, answer.error.message))
    else waiting?.resolve(answer.result as never)
  }

  #fail(what: string): void {
    const details = { pid: this.#child.pid, exitCode: this.#child.exitCode }
    for (const waiting of this.#waiting.values()) waiting.reject(new ProcessError(`${this.#name} ${what}`, details))
    this.#waiting.clear()
  }
}
