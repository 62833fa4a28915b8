import type { Child } from './child.ts'
import type { ClientCalls, DelayTimes } from './client/client-calls.ts'
import { bootstrapInterval, type Interval, mean, type Summary, summarize } from './statistics.ts'

export interface DelayInit {
  /** Number of the client's decoders. */
  readonly decoders: number
  /** Of the long prompt. */
  readonly tokens: number
  readonly rounds: number
  readonly seed: number
  readonly onProgress: (what: string) => void
}

export interface DelayFigures {
  readonly tokens: number
  readonly chunkTokens: number
  /** ms: a piece of the prompt alone, and the wait of another session's step while the prompt was computed. */
  readonly chunkMs: Summary
  readonly waitMs: Summary
  /** Pieces of the prompt that are computed between two steps of the other session. */
  readonly pieces: { readonly value: number | null; readonly ci95: Interval | null }
}

/** What a server computes of a prompt at a time, unless told otherwise. */
const chunkTokens = 128

/**
 * How long the steps of one session wait for the long prompt of another, by the server's own clock: in ms, and, which no
 * noise blurs, in pieces of the prompt. With `k` pieces there are `k - 1` places for a step between them.
 */
export async function measureDelay(client: Child<ClientCalls>, init: DelayInit): Promise<DelayFigures> {
  const { decoders, tokens, rounds, seed, onProgress } = init
  const measured: DelayTimes[] = []
  // The first warms up.
  for (let round = 0; round <= rounds; round++) {
    onProgress(`a prompt of ${tokens} tokens, round ${round} of ${rounds}`)
    const times = await client.ask('delays', { decoders, tokens, chunkTokens })
    if (round > 0) measured.push(times)
  }
  const pieces = (some: readonly DelayTimes[]): number | null =>
    mean(some.map(({ chunkMs, between }) => chunkMs.length / (between + 1)))
  return {
    tokens,
    chunkTokens: Math.min(chunkTokens, tokens),
    chunkMs: summarize(measured.flatMap(({ chunkMs }) => chunkMs)),
    waitMs: summarize(measured.flatMap(({ waitMs }) => waitMs)),
    pieces: { value: pieces(measured), ci95: bootstrapInterval(measured, pieces, seed) }
  }
}
