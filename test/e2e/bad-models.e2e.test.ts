import { cp, readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { allReferences } from './model.ts'
import { saysInOneLine } from './says.ts'
import { program } from '../cli/program.ts'

// A model's folder that is broken is told in one line, before anything is served.

const sound = allReferences.find(({ name }) => name === 'v5/llama-untied')!
const weights = 'model.safetensors'

/** Changes text in a file, of the same length: the safetensors header gives offsets. */
async function change(file: string, from: string, to: string): Promise<void> {
  const text = await readFile(file, 'latin1')
  expect(text).toContain(from)
  expect(to).toHaveLength(from.length)
  await writeFile(file, text.replaceAll(from, to), 'latin1')
}

it.each([
  {
    name: 'weights that end too soon',
    damage: (folder: string) => truncate(join(folder, weights), 20_000),
    says: [weights, 'cut short']
  },
  {
    name: 'a header that ends too soon',
    damage: (folder: string) => truncate(join(folder, weights), 100),
    says: [weights, /\b100\b/]
  },
  {
    name: 'weights of another type',
    damage: (folder: string) => change(join(folder, weights), '"F32"', '"I32"'),
    says: [weights, 'is stored as I32', 'F32, F16, BF16']
  },
  {
    name: 'a block that is missing',
    damage: (folder: string) => change(join(folder, weights), 'model.layers.1.', 'model.layerz.1.'),
    says: ['model.layers.1.']
  },
  {
    name: 'a configuration that is no JSON',
    damage: (folder: string) => writeFile(join(folder, 'config.json'), '{"model_type": llama'),
    says: ['config.json']
  },
  {
    name: 'another architecture',
    damage: (folder: string) => change(join(folder, 'config.json'), 'LlamaForCausalLM', 'LlamaForPoetry__'),
    says: ['LlamaForPoetry__', 'LlamaForCausalLM']
  }
])('$name', async ({ damage, says }) => {
  const folder = join(await temporaryFolder(), 'model')
  await cp(sound.folder, folder, { recursive: true })
  await damage(folder)
  const ended = await program('serve', ['--model', folder, '--blocks', '0-3', '--listen', '/ip4/127.0.0.1/tcp/0'])
  saysInOneLine(ended, 1, says)
})
