import { expect, it } from 'vitest'
import { silentLogger } from '../../src/base/index.ts'
import { generateCommand } from '../../src/cli/generate.ts'
import { interruptible } from '../../src/cli/interrupts.ts'
import { recordingTerminal } from './recording-terminal.ts'

it('a prompt that nobody writes on stdin is waited for until it is interrupted', async () => {
  const interrupt = new AbortController()
  let asked = (): void => undefined
  const reading = new Promise<void>(resolve => (asked = resolve))
  const terminal = {
    ...recordingTerminal(),
    input: () => {
      asked()
      return new Promise<string>(() => undefined)
    }
  }
  const argv = ['--peers', '/ip4/127.0.0.1/tcp/31226', '--prompt', '-']
  const world = { terminal, logger: silentLogger, environment: {}, signal: interrupt.signal }
  const generating = generateCommand.prepare(argv, {}).run(world)
  await reading
  interrupt.abort()
  await expect(generating).rejects.toMatchObject({
    code: 'CANCELLED',
    message: expect.stringContaining('stdin') as string
  })
})

it('work that takes no signal is not begun after an interruption, and left where it fails afterwards', async () => {
  let begun = 0
  const work = () => Promise.resolve(++begun)
  await expect(interruptible('it', work, AbortSignal.abort())).rejects.toMatchObject({ code: 'CANCELLED' })
  expect(begun).toBe(0)
  expect(await interruptible('it', work, new AbortController().signal)).toBe(1)
})
