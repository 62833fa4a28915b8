import { Command, CommanderError, Option } from 'commander'
import { UsageError, version } from '../base/index.ts'
import { type Flag, type Flags, flagName } from './flags.ts'

export interface LineSyntax {
  readonly name: string
  readonly summary: string
  readonly flags: Flags
  readonly argument?: string
}

export interface ParsedLine {
  /** Texts of each flag given, by key. */
  readonly given: Readonly<Record<string, readonly string[]>>
  readonly argument: string | undefined
}

/** Thrown in place of a result when `--help` or `--version` asks for text and nothing else. */
export class HelpShown extends Error {
  override readonly name = 'HelpShown'
}

const notes = `
Durations are written as 250ms, 30s, 5m or 1h, sizes as 512MiB or 4GiB; what repeats may have commas instead.
Every flag can be set in the environment instead, such as ANDTHEN_LOG_LEVEL for --log-level; the flag wins.
`

/** @throws UsageError for a flag or argument that is unknown or incomplete, HelpShown for --help and --version */
export function parseLine(syntax: LineSyntax, argv: readonly string[]): ParsedLine {
  let shown = ''
  const command = new Command(syntax.name)
    .description(syntax.summary)
    .version(version)
    .exitOverride()
    .configureOutput({ writeOut: text => (shown += text), writeErr: () => undefined })
    .addHelpText('after', notes)
  if (syntax.argument !== undefined) command.argument(`<${syntax.argument}>`)
  for (const [key, flag] of Object.entries(syntax.flags)) command.addOption(optionOf(key, flag))
  try {
    command.parse(argv, { from: 'user' })
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    if (error.exitCode === 0) throw new HelpShown(shown)
    throw new UsageError(`${wording(error, syntax, command.args)}; see --help`)
  }
  const options = command.opts<Record<string, string[] | true>>()
  const given = Object.entries(options).map(([key, texts]) => [key, texts === true ? ['true'] : texts])
  return { given: Object.fromEntries(given), argument: command.args[0] }
}

function wording({ code, message }: CommanderError, { argument, flags }: LineSyntax, given: readonly string[]): string {
  if (code === 'commander.excessArguments') return `"${given[argument === undefined ? 0 : 1]}" is one argument too many`
  if (code === 'commander.missingArgument') return `an argument is missing: give ${argument ?? ''}`
  const [, toggle] = /^error: unknown option '(--[^=']+)=/.exec(message) ?? []
  if (Object.keys(flags).some(key => flagName(key) === toggle)) return `${toggle} takes no value`
  const [, flag] = /^error: option '([^']+)' argument missing/.exec(message) ?? []
  if (flag !== undefined) return `${flag} has no value`
  return message.replace(/^error: /, '').replaceAll('\n', ' ')
}

function optionOf(key: string, flag: Flag<unknown>): Option {
  const help = flag.otherwise === undefined ? flag.help : `${flag.help} (default: ${flag.otherwise})`
  if (flag.takes === undefined) return new Option(flagName(key), help)
  const repeats = flag.list ? ' (repeats)' : ''
  return new Option(`${flagName(key)} <${flag.takes}>`, help + repeats).argParser(
    (text: string, earlier: string[] | undefined) => [...(earlier ?? []), text]
  )
}
