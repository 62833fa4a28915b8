import { basename } from 'node:path'

/** How to call another command the way this one was called: `andthen generate`, or `node bin/generate` in a clone. */
export function invocationOf(command: string): string {
  return basename(process.argv[1] ?? '') === 'andthen' ? `andthen ${command}` : `node bin/${command}`
}
