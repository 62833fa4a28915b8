import type { Environment, Runnable } from './command.ts'

/** Variables that are set, look like those of flags, and are those of none: a slip in a name would change nothing. */
export function strangeVariables(environment: Environment, commands: readonly Runnable[]): string[] {
  const known = new Set(commands.flatMap(command => command.variables))
  const set = Object.keys(environment).filter(name => name.startsWith('ANDTHEN_') && environment[name] !== '')
  return set.filter(name => !known.has(name))
}
