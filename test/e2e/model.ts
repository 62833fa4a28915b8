import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** The shipped model, which programs use when not told. */
export const shakespeare = join(root, 'models/tiny-shakespeare')
export const shakespeareBlocks = 12
const references = join(root, 'test/fixtures/reference')

/** What a prompt goes on with, greedy. */
export interface Golden {
  readonly prompt: string
  readonly prompt_ids: readonly number[]
  readonly greedy_ids: readonly number[]
  readonly text: string
  readonly prompt_last_logits: readonly number[]
}

const readGolden = <T>(folder: string): T => JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as T

export const goldens = readGolden<readonly Golden[]>(shakespeare)

export interface Reference extends Pick<Golden, 'prompt_ids' | 'greedy_ids'> {
  readonly name: string
  readonly folder: string
}

/** Tiny models of every kind that transformers ran, with what it said. */
export const allReferences: readonly Reference[] = ['v4', 'v5'].flatMap(form =>
  readdirSync(join(references, form)).map(name => {
    const folder = join(references, form, name)
    return { name: `${form}/${name}`, folder, ...readGolden<Pick<Golden, 'prompt_ids' | 'greedy_ids'>>(folder) }
  })
)

/** Half-open ranges, as `--blocks` takes them, that cut `blocks` blocks into `count` spans. */
export function evenSpans(blocks: number, count: number): string[] {
  const cut = (i: number): number => Math.floor((i * blocks) / count)
  return Array.from({ length: count }, (_, i) => `${cut(i)}-${cut(i + 1)}`)
}
