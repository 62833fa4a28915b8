import { expect, it, onTestFinished } from 'vitest'
import { connect } from '../../src/node/index.ts'
import { allReferences, evenSpans } from './model.ts'
import { addressesOf, generate, patience, serveSpans, stopAll } from './swarm.ts'

// Every kind of model that is supported, a block a server, says what transformers says.

it.each(allReferences)(
  '$name',
  async ({ folder, prompt_ids, greedy_ids }) => {
    const servers = await serveSpans(evenSpans(3, 3), ['--model', folder])
    onTestFinished(() => stopAll(servers))
    const maxNewTokens = greedy_ids.length
    const asked = ['--prompt-ids', prompt_ids.join(), '--max-new-tokens', String(maxNewTokens), '--model', folder]
    const push = await generate(servers, [...asked, '--route', 'push'])
    expect(push).toMatchObject({ tokenIds: greedy_ids, text: null })
    expect(push.pushes.used).toBeGreaterThan(0)
    const connection = await connect({ model: folder, peers: addressesOf(servers), route: 'relay', threads: 1 })
    onTestFinished(() => connection.close())
    expect((await connection.generate({ promptIds: prompt_ids, maxNewTokens }).result).tokenIds).toEqual(greedy_ids)
  },
  patience
)
