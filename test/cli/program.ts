import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface Ended {
  readonly status: number | null
  readonly out: string
  readonly err: string
}

/** Runs `node bin/NAME ...` to its end, with the environment's own ANDTHEN variables left out. */
export function program(
  name: string,
  args: readonly string[],
  environment: Record<string, string> = {}
): Promise<Ended> {
  const inherited = Object.entries(process.env).filter(([key]) => !key.startsWith('ANDTHEN_'))
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [`bin/${name}`, ...args], {
      cwd: root,
      env: { ...Object.fromEntries(inherited), ...environment },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let [out, err] = ['', '']
    child.stdout.setEncoding('utf8').on('data', text => (out += text))
    child.stderr.setEncoding('utf8').on('data', text => (err += text))
    child.on('error', reject)
    child.on('close', status => resolve({ status, out, err }))
  })
}
