import type { Logger, LogLevel } from '../base/index.ts'
import { logLevels } from '../base/index.ts'
import { type Blame, blaming } from './blame.ts'
import { choice } from './choices.ts'
import { parseLine } from './command-line.ts'
import { type Flags, type FlagValues, readFlags, sourcesOf, value, variableName } from './flags.ts'
import type { Terminal } from './terminal.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** What a running command has to do with the world. */
export interface World {
  readonly terminal: Terminal
  readonly logger: Logger
  readonly environment: Environment
  /** Aborted by the first SIGINT or SIGTERM; a second one ends the process at once. */
  readonly signal: AbortSignal
}

export interface Context extends World {
  /** Every error that a command prints itself goes through it; those that it throws do. */
  readonly blame: Blame
}

export interface LogSettings {
  readonly logLevel: LogLevel
  readonly logFormat: 'pretty' | 'json'
}

/** Arguments understood, nothing done yet. */
interface Invocation<Options> {
  readonly options: Options
  readonly log: LogSettings
  readonly blame: Blame
}

export interface CommandInit<F extends Flags, Options> {
  readonly name: string
  readonly summary: string
  readonly flags: F
  /** The name of the only positional argument, such as `NAME`. @default none is taken */
  readonly argument?: string
  /** @default 'warn' */
  readonly logLevel?: LogLevel
  /** From flags to options: defaults, and what must be given together. @throws UsageError, NotAvailableError */
  options(values: FlagValues<F>, argument: string | undefined): Options
  /** Does the work. Returns the exit status. */
  run(options: Options, context: Context, log: LogSettings): Promise<number>
}

/** A command as the dispatcher knows it. */
export interface Runnable {
  readonly summary: string
  /** Names of its flags' variables in the environment. */
  readonly variables: readonly string[]
  /** Understands the arguments. @throws HelpShown for --help and --version, UsageError, NotAvailableError */
  prepare(
    argv: readonly string[],
    environment: Environment
  ): {
    readonly log: LogSettings
    /** Does the work. Returns the exit status. */
    run(world: World): Promise<number>
  }
}

export interface Command<Options> extends Runnable {
  /** Understands the arguments, and does nothing more. Throws as `prepare` does. */
  parse(argv: readonly string[], environment: Environment): Invocation<Options>
}

const logFlags = {
  logLevel: value('LEVEL', `how much is logged: ${logLevels.join(', ')}`, choice(logLevels)),
  logFormat: value('FORMAT', 'how it is logged: pretty or json', choice(['pretty', 'json']), 'pretty')
}

export function defineCommand<F extends Flags, Options>(init: CommandInit<F, Options>): Command<Options> {
  const parse = (argv: readonly string[], environment: Environment): Invocation<Options> => {
    const logLevel = { ...logFlags.logLevel, otherwise: init.logLevel ?? 'warn' }
    const line = parseLine({ ...init, flags: { ...init.flags, ...logFlags, logLevel } }, argv)
    const log = readFlags(logFlags, line.given, environment)
    return {
      options: init.options(readFlags(init.flags, line.given, environment), line.argument),
      log: { logLevel: log.logLevel ?? init.logLevel ?? 'warn', logFormat: log.logFormat ?? 'pretty' },
      blame: blaming(sourcesOf(init.flags, line.given, environment))
    }
  }
  return {
    summary: init.summary,
    variables: Object.keys({ ...init.flags, ...logFlags }).map(variableName),
    parse,
    prepare(argv, environment) {
      const { options, log, blame } = parse(argv, environment)
      const run = async (world: World): Promise<number> => {
        try {
          return await init.run(options, { ...world, blame }, log)
        } catch (thrown) {
          throw blame(thrown)
        }
      }
      return { log, run }
    }
  }
}
