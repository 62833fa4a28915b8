import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { freeze, killHard, Relay, type ServerProcess, thaw } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import { runSources } from '../bench/run-sources.ts'
import type { Ended, Program } from '../cli/program.ts'
import { evenSpans, goldens, shakespeareBlocks } from './model.ts'
import { saysInOneLine } from './says.ts'
import {
  catchMidway,
  endSessions,
  type LinkedServer,
  patience,
  serveBehindLinks,
  startGenerating,
  stopAll
} from './swarm.ts'

// A server that dies, freezes or is cut off in the middle of a text: another one takes its place, and the text is the
// same. Without another one the failure says what is missing, and what was generated until then is not lost.

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const spans = evenSpans(shakespeareBlocks, 3)
const { prompt, greedy_ids, text } = goldens[0]!
const asked = ['--prompt', prompt, '--max-new-tokens', String(greedy_ids.length), '--json']
/** Two servers for each span, each behind a link; what was killed is replaced before the next test. */
const pairs: LinkedServer[][] = spans.map(() => [])
// Of this process's children only the relay is run from its source.
vi.stubEnv('NODE_OPTIONS', runSources)
const relay = new Relay()
vi.unstubAllEnvs()
const killed = new Set<LinkedServer>()

async function fill(): Promise<void> {
  const missing = spans.flatMap((span, i) => {
    pairs[i] = pairs[i]!.filter(server => !killed.has(server))
    return Array.from({ length: 2 - pairs[i].length }, () => ({ span, i }))
  })
  const started = await serveBehindLinks(
    relay,
    missing.map(({ span }) => span)
  )
  for (const [at, { i }] of missing.entries()) pairs[i]!.push(started[at]!)
}

beforeAll(fill)
afterEach(async () => {
  for (const linked of pairs.flat().filter(linked => !killed.has(linked))) {
    thaw(linked.server.pid)
    await linked.link.restore()
    await endSessions(linked.server)
  }
})
afterAll(async () => {
  await stopAll(pairs.flat().map(({ server }) => server))
  await relay.close()
})

/** What may befall a server. */
const faults = {
  killed(linked: LinkedServer): void {
    killed.add(linked)
    killHard(linked.server.pid)
  },
  frozen: ({ server }: LinkedServer) => freeze(server.pid),
  'cut off': ({ link }: LinkedServer) => link.blackhole()
}
const routes = ['push', 'relay', 'delegate'] as const

/** Every server with every fault, so that each of them meets each route, too. */
const cases = (['killed', 'frozen', 'cut off'] as const).flatMap((fault, f) =>
  [0, 1, 2].map(victim => ({ victim, fault, route: routes[(victim + f) % routes.length]! }))
)

const serversOf = (linked: readonly LinkedServer[]): ServerProcess[] => linked.map(({ server }) => server)

/** What becomes of a client of these servers where the fault befalls the one of `victims` that it is on in the middle of its text. */
async function generatingUnder(
  fault: keyof typeof faults,
  {
    of: linked,
    victims,
    args
  }: { of: readonly LinkedServer[]; victims: readonly LinkedServer[]; args: readonly string[] }
): Promise<Ended> {
  const begin = (): Program => startGenerating(serversOf(linked), [...asked, ...args])
  const { client, on, thaw: goOn } = await catchMidway(begin, serversOf(victims))
  goOn()
  await faults[fault](victims.find(({ server }) => server === on)!)
  return client.ended
}

describe('with a spare for every span', () => {
  it.each(cases)(
    'server $victim is $fault, by $route: the text is the golden one',
    async ({ victim, fault, route }) => {
      await fill()
      const routed = ['--route', route]
      const { status, out, err } = await generatingUnder(fault, {
        of: pairs.flat(),
        victims: pairs[victim]!,
        args: routed
      })
      expect({ status, lines: out.split('\n').length }, err).toEqual({ status: 0, lines: 2 })
      const result = JSON.parse(out) as GenerationResult
      expect(result).toMatchObject({ tokenIds: greedy_ids, text, finishReason: 'length', route })
      expect(result.replays).toBeGreaterThanOrEqual(1)
      expect(result.pushes.used > 0, 'pushes used').toBe(route !== 'relay')
    }
  )
})

describe('without a spare', () => {
  it.each(cases)(
    'server $victim is $fault, by $route: the error names its blocks, and what came is kept',
    async ({ victim, fault, route }) => {
      await fill()
      const chain = pairs.map(([first]) => first!)
      const args = ['--route', route, '--wait', '1s']
      const ended = await generatingUnder(fault, { of: chain, victims: [chain[victim]!], args })
      const missing = spans[victim]!
      saysInOneLine({ ...ended, err: lastLine(ended.err) }, 1, [missing, `node bin/serve --blocks ${missing}`])
      const { error, partial } = JSON.parse(ended.out) as {
        error: object
        partial: { text: string; tokenIds: number[] }
      }
      expect(error).toMatchObject({ code: 'BLOCKS_NOT_COVERED', retryable: true, details: { missing: [missing] } })
      expect(partial.tokenIds.length).toBeGreaterThan(0)
      expect(partial.tokenIds).toEqual(greedy_ids.slice(0, partial.tokenIds.length))
      expect(partial.text).not.toBe('')
      expect(text.startsWith(partial.text), partial.text).toBe(true)
    }
  )
})

/** The error; before it a warning may say that a server failed. */
function lastLine(err: string): string {
  return `${err.trimEnd().split('\n').at(-1)}\n`
}
