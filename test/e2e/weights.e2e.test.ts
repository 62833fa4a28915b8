import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { convertModel } from '../model/convert-model.ts'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { goldens, shakespeare } from './model.ts'
import { generate, serveSpans, stopAll } from './swarm.ts'

it.each(['F32', 'F16', 'BF16'] as const)('weights stored as %s are served and generate the same text', async dtype => {
  const folder = join(await temporaryFolder(), 'copy')
  await convertModel(shakespeare, folder, dtype)
  const servers = await serveSpans(['0-6', '6-12'], ['--model', folder])
  onTestFinished(() => stopAll(servers))
  const { prompt, greedy_ids } = goldens[1]!
  const asked = ['--prompt', prompt, '--max-new-tokens', '32', '--model', folder]
  expect((await generate(servers, asked)).tokenIds).toEqual(greedy_ids.slice(0, 32))
})
