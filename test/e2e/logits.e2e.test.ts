import { afterAll, beforeAll, expect, it } from 'vitest'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import type { ServerProcess } from '../../src/bench/index.ts'
import { Chain } from '../../src/client/chain.ts'
import { Decoder } from '../../src/client/decode.ts'
import { readDirectory } from '../../src/client/directory.ts'
import { openEnds } from '../../src/client/ends.ts'
import { Standing } from '../../src/client/standing.ts'
import { openModel } from '../../src/model/index.ts'
import { createIdentity, createNetwork, type Network } from '../../src/network/index.ts'
import { createDigester } from '../../src/wire/index.ts'
import { largestDifference } from '../model/reference-runner.ts'
import { evenSpans, goldens, shakespeare, shakespeareBlocks } from './model.ts'
import { addressesOf, serveSpans, stopAll } from './swarm.ts'

// Behind the ids: the logits after a prompt that went through three servers are those of transformers.

let servers: ServerProcess[] = []
let network: Network
beforeAll(async () => {
  servers = await serveSpans(evenSpans(shakespeareBlocks, 3))
  network = await createNetwork({ identity: await createIdentity() })
})
afterAll(async () => {
  await network.close()
  await stopAll(servers)
})

it.each(['relay', 'push'] as const)('%s', async route => {
  const [logger, clock] = [silentLogger, systemClock]
  const model = await openModel(shakespeare)
  const modelDigest = await model.digest()
  const { blocks, hiddenSize } = model.spec
  const about = { name: model.name, digest: modelDigest, blocks }
  const asking = { network, logger, clock, random: Math.random }
  const { candidates } = await readDirectory(asking, {
    peers: addressesOf(servers),
    model: about,
    timeoutMs: 10_000
  })
  const ends = await openEnds(model, { logger, threads: 1 })
  const digest = createDigester({ modelDigest, hiddenSize })
  for (const { prompt_ids, prompt_last_logits } of goldens) {
    const chain = await Chain.open(
      { ...asking, digest, standing: new Standing(asking) },
      {
        candidates,
        modelDigest,
        blocks,
        hiddenSize,
        route,
        verify: 'auto',
        maxLength: 32,
        stepTimeoutMs: 30_000,
        waitMs: 30_000
      },
      { signal: new AbortController().signal }
    )
    let difference = Number.POSITIVE_INFINITY
    const sampler = {
      settings: { temperature: 0, topP: 1, topK: 0, repetitionPenalty: 1, seed: 0 },
      sample(logits: Float32Array): number {
        difference = largestDifference(logits, prompt_last_logits)
        return 0
      }
    }
    await new Decoder({ chain, ends, sampler, now: () => clock.now() }).prefill(prompt_ids)
    await chain.close()
    expect(difference).toBeLessThan(2e-3)
  }
  await ends.close()
})
