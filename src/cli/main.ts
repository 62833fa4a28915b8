import { createLogger, fileProblem, type Logger, UsageError, version } from '../base/index.ts'
import type { Environment, LogSettings, Runnable } from './command.ts'
import { HelpShown } from './command-line.ts'
import { interruptSignal } from './interrupts.ts'
import { exitStatus, reportError } from './report.ts'
import { strangeVariables } from './strange-variables.ts'
import { processTerminal, type Terminal } from './terminal.ts'

/** Each command is loaded when it is called, so that a slip on the command line is told before anything heavy loads. */
const commands: Readonly<Record<string, () => Promise<Runnable>>> = {
  serve: async () => (await import('./serve.ts')).serveCommand,
  generate: async () => (await import('./generate.ts')).generateCommand,
  bench: async () => (await import('./bench.ts')).benchCommand,
  start: async () => (await import('./start.ts')).startCommand,
  doctor: async () => (await import('./doctor.ts')).doctorCommand,
  'verify-proof': async () => (await import('./verify-proof.ts')).verifyProofCommand
}

const quiet: LogSettings = { logLevel: 'warn', logFormat: 'pretty' }

/** Runs one command to its end, and the process with it. */
export async function main(name: string, argv: readonly string[]): Promise<never> {
  endQuietlyOnClosedOutput()
  const terminal = processTerminal()
  const status = await runCommand(name, argv, process.env, terminal)
  await flushed(process.stdout)
  process.exit(status)
}

/** `andthen COMMAND ...`; `andthen help COMMAND` is `andthen COMMAND --help`. */
export async function dispatch(argv: readonly string[]): Promise<never> {
  const [name, ...rest] = argv
  if (name === 'help' && rest[0] !== undefined) return main(rest[0], ['--help'])
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    process.stdout.write(await overview())
    process.exit(exitStatus.done)
  }
  if (name === '--version' || name === '-V') {
    process.stdout.write(`${version}\n`)
    process.exit(exitStatus.done)
  }
  return main(name, rest)
}

async function runCommand(name: string, argv: readonly string[], environment: Environment, terminal: Terminal) {
  let log = quiet
  try {
    const load = commands[name]
    if (load === undefined) throw unknownCommand(name)
    const command = await load()
    const prepared = command.prepare(argv, environment)
    log = prepared.log
    const colour = terminal.errIsTTY && !environment['NO_COLOR']
    const logger = createLogger({ level: log.logLevel, format: log.logFormat, colour })
    await warnOfStrangers(command, environment, logger)
    return await prepared.run({ terminal, logger, environment, signal: interruptSignal() })
  } catch (error) {
    if (error instanceof HelpShown) {
      terminal.out(error.message)
      return exitStatus.done
    }
    return reportError(error, terminal, log)
  }
}

function unknownCommand(name: string): UsageError {
  return new UsageError(`"${name}" is no command: give one of ${Object.keys(commands).join(', ')}`)
}

async function warnOfStrangers(command: Runnable, environment: Environment, logger: Logger): Promise<void> {
  // The others are seldom needed, and one of them loads the network.
  if (strangeVariables(environment, [command]).length === 0) return
  const all = await Promise.all(Object.values(commands).map(load => load()))
  for (const variable of strangeVariables(environment, all))
    logger.warn({ variable }, 'a variable that no flag of any command has: it changes nothing')
}

async function overview(): Promise<string> {
  const lines = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `  ${name.padEnd(14)}${(await load()).summary}`)
  )
  return `Usage: andthen COMMAND [flags]\n\n${lines.join('\n')}\n\nandthen COMMAND --help tells each command's flags.\n`
}

/** A reader that went away, as `head` does, has what it wanted. */
function endQuietlyOnClosedOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(exitStatus.done)
    process.stderr.write(`error: stdout cannot be written: ${fileProblem(error)}\n`)
    process.exit(exitStatus.failed)
  })
  process.stderr.on('error', () => undefined)
}

function flushed(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}
