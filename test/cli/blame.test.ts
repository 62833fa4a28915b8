import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AndthenError, silentLogger } from '../../src/base/index.ts'
import { blaming } from '../../src/cli/blame.ts'
import type { Environment, Runnable } from '../../src/cli/command.ts'
import { doctorCommand } from '../../src/cli/doctor.ts'
import { generateCommand } from '../../src/cli/generate.ts'
import { serveCommand } from '../../src/cli/serve.ts'
import { IdentityError } from '../../src/network/index.ts'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { recordingTerminal } from './recording-terminal.ts'

// What turns out to be wrong only at work is told with where the value came from, as what is wrong on its face.

const peer = '/ip4/127.0.0.1/tcp/31226'
const terminal = recordingTerminal()

function run(command: Runnable, argv: readonly string[], environment: Environment = {}): Promise<number> {
  const { signal } = new AbortController()
  return command.prepare(argv, environment).run({ terminal, logger: silentLogger, environment, signal })
}

describe('a folder without a model', () => {
  it.each([
    { name: 'serve', command: serveCommand, args: ['--blocks', 'all', '--dry-run'] },
    { name: 'generate', command: generateCommand, args: ['--peers', peer, '--prompt', 'a', '--json'] }
  ])('is told by $name with the flag or the variable', async ({ command, args }) => {
    const folder = await temporaryFolder()
    const rejection = (source: string) => ({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringMatching(source) as string
    })
    await expect(run(command, [...args, '--model', folder])).rejects.toMatchObject(rejection(`^--model: ${folder}`))
    const variable = run(command, args, { ANDTHEN_MODEL: folder })
    await expect(variable).rejects.toMatchObject(rejection(`^ANDTHEN_MODEL: ${folder}`))
  })

  it('is told in JSON as on stderr', async () => {
    const console = recordingTerminal()
    const [environment, { signal }] = [{}, new AbortController()]
    const args = ['--peers', peer, '--prompt', 'a', '--json', '--model', await temporaryFolder()]
    const running = generateCommand.prepare(args, environment)
    const thrown: unknown = await running
      .run({ terminal: console, logger: silentLogger, environment, signal })
      .catch((error: unknown) => error)
    const { message, code } = thrown as AndthenError
    expect(JSON.parse(console.written.out)).toMatchObject({ error: { code, message } })
  })
})

describe('a folder with an ONNX Runtime that is of no use', () => {
  it('is told with the variable, by serve and by doctor', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'lib'))
    const [environment, argv] = [{ ANDTHEN_ONNXRUNTIME: folder }, ['--blocks', 'all', '--dry-run']]
    const told = `ANDTHEN_ONNXRUNTIME: no ONNX Runtime library, such as`
    await expect(run(serveCommand, argv, environment)).rejects.toMatchObject({
      code: 'RUNTIME_LOAD',
      message: expect.stringContaining(told) as string
    })
    await writeFile(join(folder, 'lib', 'libonnxruntime.so.1'), 'no library')
    expect(await run(doctorCommand, [], environment)).toBe(1)
    expect(terminal.written.out).toMatch(/MISSING +ONNX Runtime +ANDTHEN_ONNXRUNTIME: /)
  })

  it('is not blamed for a graph that does not load', () => {
    const blame = blaming({ onnxruntime: '--onnxruntime' })
    expect(blame(new AndthenError('RUNTIME_LOAD', 'the graph does not load')).message).toBe('the graph does not load')
    const library = new AndthenError('RUNTIME_LOAD', 'none', { details: { library: '/o' } })
    expect(blame(library).message).toBe('--onnxruntime: none')
  })
})

describe('blame', () => {
  it('falls on what was given, and on nothing else', () => {
    const error = new IdentityError('/i', 'is no file')
    expect(blaming({ identity: 'ANDTHEN_IDENTITY' })(error).message).toBe(
      'ANDTHEN_IDENTITY: identity file /i is no file'
    )
    expect(blaming({ model: '--model' })(error)).toBe(error)
    expect(blaming({ model: '--model' })('odd')).toMatchObject({ code: 'INTERNAL', message: 'odd' })
  })

  it('keeps what programs compare', () => {
    const error = new AndthenError('MODEL_CONFIG', 'broken', { details: { path: '/m' }, retryable: true })
    expect(blaming({ model: '--model' })(error)).toMatchObject({
      code: 'MODEL_CONFIG',
      retryable: true,
      details: { path: '/m' },
      cause: error
    })
  })
})
