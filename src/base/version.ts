import { readFileSync } from 'node:fs'

/** The package's version. */
export const version = versionIn(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

function versionIn(manifest: string): string {
  const parsed: unknown = JSON.parse(manifest)
  return typeof parsed === 'object' && parsed !== null && 'version' in parsed ? String(parsed.version) : 'unknown'
}
