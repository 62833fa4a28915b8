import { type ChildProcess, spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { onTestFinished, TestRunner } from 'vitest'
import { heed } from './heed.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ended {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** `node bin/NAME ...`, with the environment's own ANDTHEN variables left out. It does not outlive the test that starts it. */
export class Program {
  readonly ended: Promise<Ended>
  /** What it has written so far. */
  out = ''
  err = ''
  readonly #child: ChildProcess

  constructor(name: string, args: readonly string[], environment: Record<string, string> = {}) {
    const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('ANDTHEN_'))
    const child = spawn(process.execPath, [`bin/${name}`, ...args], {
      cwd: root,
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    child.stdout.setEncoding('utf8').on('data', text => (this.out += text))
    child.stderr.setEncoding('utf8').on('data', text => (this.err += text))
    this.#child = child
    this.ended = new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', status => resolve({ status, out: this.out, err: this.err }))
    })
    const release = heed(`bin/${name} ${args.join(' ')}`, () => `${this.#state()}\n${this.out}\n${this.err}`)
    if (TestRunner.getCurrentTest() === undefined) return
    onTestFinished(() => {
      release()
      child.kill('SIGKILL')
    })
  }

  /** @throws {Error} where it could not be started */
  get pid(): number {
    const { pid } = this.#child
    if (pid === undefined) throw new Error('the program was not started')
    return pid
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  #state(): string {
    const { exitCode, signalCode } = this.#child
    return exitCode === null && signalCode === null ? 'still runs' : `ended with ${signalCode ?? `status ${exitCode}`}`
  }
}

/** Runs it to its end. */
export const program = (...init: ConstructorParameters<typeof Program>): Promise<Ended> => new Program(...init).ended
