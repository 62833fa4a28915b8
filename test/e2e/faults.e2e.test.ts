import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { freeze, killHard, type ServerProcess, thaw } from '../../src/bench/index.ts'
import type { GenerationResult } from '../../src/client/index.ts'
import type { Ended } from '../cli/program.ts'
import { evenSpans, goldens, shakespeareBlocks } from './model.ts'
import { saysInOneLine } from './says.ts'
import { generating, patience, serveSpans, sessionsOf, stopAll, until } from './swarm.ts'

// A server that dies or freezes in the middle of a text: another one takes its place, and the text is the same. Without
// another one the failure says what is missing, and what was generated until then is not lost.

vi.setConfig({ testTimeout: patience, hookTimeout: patience })

const spans = evenSpans(shakespeareBlocks, 3)
const { prompt, greedy_ids, text } = goldens[0]!
const asked = ['--prompt', prompt, '--max-new-tokens', String(greedy_ids.length), '--json']
/** Tokens of a session after which the fault comes: well within the text. */
const middle = 20

const killed = new Set<ServerProcess>()
const kill = (server: ServerProcess): void => {
  killed.add(server)
  killHard(server.pid)
}

/** Which of these the session of a running generation is on, once it is in the middle of its text. */
async function inUse(servers: readonly ServerProcess[]): Promise<ServerProcess> {
  let found: ServerProcess | undefined
  await until(async () => {
    for (const server of servers) {
      const sessions = await sessionsOf(server)
      if (sessions.some(({ length }) => length >= middle)) found = server
    }
    return found !== undefined
  })
  return found!
}

describe('with a spare for every span', () => {
  /** Two servers for each span; what was killed is replaced before the next test. */
  const pairs: ServerProcess[][] = spans.map(() => [])

  beforeAll(fill)
  afterAll(() => stopAll(pairs.flat()))

  async function fill(): Promise<void> {
    const missing = spans.flatMap((span, i) => {
      pairs[i] = pairs[i]!.filter(server => !killed.has(server))
      return Array.from({ length: 2 - pairs[i].length }, () => ({ span, i }))
    })
    const started = await serveSpans(missing.map(({ span }) => span))
    for (const [at, { i }] of missing.entries()) pairs[i]!.push(started[at]!)
  }

  async function surviving(
    span: number,
    fault: (server: ServerProcess) => void | Promise<void>
  ): Promise<ServerProcess> {
    await fill()
    const running = generating(pairs.flat(), asked)
    const victim = await inUse(pairs[span]!)
    await fault(victim)
    const { status, out, err } = await running
    expect({ status, lines: out.split('\n').length }, err).toEqual({ status: 0, lines: 2 })
    const result = JSON.parse(out) as GenerationResult
    expect(result).toMatchObject({ tokenIds: greedy_ids, text, finishReason: 'length' })
    expect(result.replays).toBeGreaterThanOrEqual(1)
    return victim
  }

  it.each([0, 1, 2])('server %d is killed', async span => {
    await surviving(span, kill)
  })

  it.each([0, 1, 2])('server %d is frozen', async span => {
    const victim = await surviving(span, server => freeze(server.pid))
    thaw(victim.pid)
  })
})

describe('without a spare', () => {
  it.each(['relay', 'push', 'delegate'])(
    'a server that is killed, %s: the error names its blocks, and what came is kept',
    async route => {
      const servers = await serveSpans(spans)
      try {
        const running: Promise<Ended> = generating(servers, [...asked, '--route', route])
        kill(await inUse(servers.slice(1, 2)))
        const ended = await running
        saysInOneLine({ ...ended, err: lastLine(ended.err) }, 1, ['4-8', 'node bin/serve --blocks 4-8'])
        const { error, partial } = JSON.parse(ended.out) as {
          error: object
          partial: { text: string; tokenIds: number[] }
        }
        expect(error).toMatchObject({ code: 'BLOCKS_NOT_COVERED', retryable: true, details: { missing: ['4-8'] } })
        expect(partial.tokenIds.length).toBeGreaterThan(0)
        expect(partial.tokenIds).toEqual(greedy_ids.slice(0, partial.tokenIds.length))
        expect(partial.text).not.toBe('')
        expect(text.startsWith(partial.text), partial.text).toBe(true)
      } finally {
        await stopAll(servers)
      }
    }
  )
})

/** The error; before it a warning may say that a server failed. */
function lastLine(err: string): string {
  return `${err.trimEnd().split('\n').at(-1)}\n`
}
