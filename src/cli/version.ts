import { readFileSync } from 'node:fs'

/** The package's version. */
export const version = readVersion(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

function readVersion(manifest: string): string {
  const parsed: unknown = JSON.parse(manifest)
  const named = typeof parsed === 'object' && parsed !== null && 'version' in parsed
  return named ? String(parsed.version) : 'unknown'
}
