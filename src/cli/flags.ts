import { namingFlag, UsageError } from '../base/index.ts'

/** One flag of a command. Its value comes from the command line, else from its environment variable, else is absent. */
export interface Flag<T> {
  /** What `--help` shows in place of the value; absent for a switch. */
  readonly takes?: string
  readonly help: string
  /** What an absent flag means, in words, for `--help`. */
  readonly otherwise?: string
  /** @throws UsageError saying what is wrong with the text */
  readonly read: (texts: readonly string[]) => T
  readonly list: boolean
}

export type Flags = Readonly<Record<string, Flag<unknown>>>
export type FlagValues<F extends Flags> = {
  readonly [K in keyof F]: (F[K] extends Flag<infer T> ? T : never) | undefined
}

/** A flag with one value; given twice, the last counts. */
export function value<T>(takes: string, help: string, parse: (text: string) => T, otherwise?: string): Flag<T> {
  const read = (texts: readonly string[]) => parse(texts.at(-1) ?? '')
  return { takes, help, read, list: false, ...(otherwise === undefined ? {} : { otherwise }) }
}

/** A flag that repeats, or takes several values at once with commas between them. */
export function list<T>(takes: string, help: string, parse: (text: string) => T, otherwise?: string): Flag<T[]> {
  const read = (texts: readonly string[]) => {
    const values = texts.flatMap(text => text.split(',')).map(text => text.trim())
    const given = values.filter(text => text !== '')
    if (given.length === 0) throw new UsageError(`"${texts.join(',')}" holds no value: give ${takes}, or leave it out`)
    return given.map(parse)
  }
  return { takes, help, read, list: true, ...(otherwise === undefined ? {} : { otherwise }) }
}

/** A flag that repeats and whose values are taken as they are, commas included. */
export function texts(takes: string, help: string): Flag<string[]> {
  const read = (given: readonly string[]): string[] => {
    if (given.includes('')) throw new UsageError(`"" is no ${takes}: give one character at least, or leave it out`)
    return [...given]
  }
  return { takes, help, read, list: true }
}

/** A flag without a value. In the environment: 1, true, yes, on or 0, false, no, off. */
export function toggle(help: string): Flag<boolean> {
  return { help, read: given => readBoolean(given.at(-1) ?? ''), list: false }
}

function readBoolean(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off)$/i.test(text)) return false
  throw new UsageError(`"${text}" is neither true nor false`)
}

/** `maxNewTokens` on the command line: `--max-new-tokens`. */
export function flagName(key: string): string {
  return `--${key.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)}`
}

/** `maxNewTokens` in the environment: `ANDTHEN_MAX_NEW_TOKENS`. */
export function variableName(key: string): string {
  return `ANDTHEN_${key.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
}

/** Where the value of each flag that was given comes from: the flag's name, or its variable's; by the flag's key. */
export function sourcesOf(
  flags: Flags,
  given: Readonly<Record<string, readonly string[]>>,
  environment: Readonly<Record<string, string | undefined>>
): Record<string, string> {
  const sources = Object.keys(flags).map(key => {
    if (given[key] !== undefined) return [key, flagName(key)]
    return environment[variableName(key)] ? [key, variableName(key)] : undefined
  })
  return Object.fromEntries(sources.filter(source => source !== undefined)) as Record<string, string>
}

/**
 * Reads every flag, the command line over the environment. An empty variable counts as absent, so that
 * `ANDTHEN_X=${X}` in a compose file means nothing where X is not set.
 *
 * @param given texts of each flag that the command line holds, by key
 * @throws UsageError naming the flag or variable, and its value
 */
export function readFlags<F extends Flags>(
  flags: F,
  given: Readonly<Record<string, readonly string[]>>,
  environment: Readonly<Record<string, string | undefined>>
): FlagValues<F> {
  const sources = sourcesOf(flags, given, environment)
  const read = Object.entries(flags).map(([key, flag]): [string, unknown] => {
    const source = sources[key]
    if (source === undefined) return [key, undefined]
    return [key, namingFlag(source, () => flag.read(given[key] ?? [environment[variableName(key)] ?? '']))]
  })
  return Object.fromEntries(read) as FlagValues<F>
}

/** Without what is undefined, for optional properties that are either there or not. */
export function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>
  }
}
