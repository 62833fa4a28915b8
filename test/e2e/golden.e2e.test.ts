import { expect, it, onTestFinished } from 'vitest'
import { evenSpans, goldens, shakespeareBlocks } from './model.ts'
import { generate, patience, serveSpans, stopAll } from './swarm.ts'

// However the model is cut and whichever way hidden states go, the shipped model says what transformers says.

it.each([
  { name: 'one server', spans: ['0-12'], routes: ['relay', 'push'], tokens: 96 },
  { name: 'two servers', spans: evenSpans(shakespeareBlocks, 2), routes: ['relay', 'push'], tokens: 96 },
  { name: 'three uneven servers', spans: ['0-1', '1-10', '10-12'], routes: ['relay', 'push', 'delegate'], tokens: 96 },
  { name: 'a server a block', spans: evenSpans(shakespeareBlocks, shakespeareBlocks), routes: ['push'], tokens: 32 }
])(
  '$name, $routes',
  async ({ spans, routes, tokens }) => {
    const servers = await serveSpans(spans)
    onTestFinished(() => stopAll(servers))
    const { prompt, prompt_ids, greedy_ids, text } = goldens[1]!
    const tokenIds = greedy_ids.slice(0, tokens)
    for (const route of routes) {
      const asked = ['--prompt', prompt, '--max-new-tokens', String(tokens), '--route', route]
      const result = await generate(servers, asked)
      expect(result).toMatchObject({ route, tokenIds, promptIds: prompt_ids, finishReason: 'length' })
      expect(text.startsWith(result.text ?? '-'), `text ${JSON.stringify(result.text)}`).toBe(true)
      const pushed = route !== 'relay' && spans.length > 1
      expect(result.pushes.used > 0, `pushes used, route ${route}`).toBe(pushed)
      // The last token is sampled and not sent.
      expect(result.committed).toBe(prompt_ids.length + tokens - 1)
    }
  },
  patience
)
