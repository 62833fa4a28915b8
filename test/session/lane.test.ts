import { describe, expect, it } from 'vitest'
import {
  type Batch,
  type BatchingPolicy,
  ComputeLane,
  direct,
  oldest,
  type OldestInit,
  Scheduler,
  type Work
} from '../../src/session/index.ts'
import { CountingClock, deferred, settle } from './fixture.ts'

/*
 * Scenarios of Triton's sequence batcher tests about batches, by their names there; sessions themselves are in
 * table.test.ts and beside it. "Skip" is a session that sits out a batch, "ragged" are works of different lengths.
 */

type Limits = Pick<OldestInit, 'minUtilisation' | 'preferredBatch'>
const strategies: readonly (readonly [string, (queueDelayMs: number, limits?: Limits) => BatchingPolicy])[] = [
  ['direct', (queueDelayMs, limits) => direct({ queueDelayMs, ...limits })],
  ['oldest', (queueDelayMs, limits) => oldest({ queueDelayMs, ...limits })]
]

interface NamedWork extends Work {
  readonly name: string
}

/** A lane whose device takes as long as it is told to: `step` ends the run in flight. */
function setUp(policy: BatchingPolicy, init: { chunkTokens?: number; preserveOrdering?: boolean } = {}) {
  const clock = new CountingClock()
  const batches: string[] = []
  const settled: string[] = []
  const signals: AbortSignal[] = []
  let running: { end: () => void; fail: (error: Error) => void } | undefined
  const run = (batch: Batch<NamedWork>, { signal }: { signal: AbortSignal }): Promise<void> => {
    if (running !== undefined) throw new Error('two runs at a time')
    batches.push(
      batch.kind === 'decode'
        ? batch.works
            .map(work => work.name)
            .sort()
            .join(' ')
        : `${batch.work.name}[${batch.offset}+${batch.tokens}]`
    )
    signals.push(signal)
    return new Promise<void>((resolve, reject) => {
      const over = (settleRun: () => void) => () => {
        running = undefined
        signal.removeEventListener('abort', onAbort)
        settleRun()
      }
      const onAbort = over(() => reject(signal.reason as Error))
      running = { end: over(resolve), fail: error => over(() => reject(error))() }
      signal.addEventListener('abort', onAbort)
    })
  }
  const scheduler = new Scheduler<NamedWork>({ policy, chunkTokens: init.chunkTokens ?? 4 })
  const lane = new ComputeLane({ clock, scheduler, run }, { preserveOrdering: init.preserveOrdering ?? false })
  return {
    clock,
    lane,
    batches,
    settled,
    signals,
    submit(slot: number, tokens = 1, options: { name?: string; signal?: AbortSignal } = {}): Promise<string> {
      const name = options.name ?? `${slot}`
      const { signal } = options
      const result = lane.submit({ slot, tokens, name }, signal === undefined ? {} : { signal }).then(
        timings => `${name} queued ${timings.queuedAt} started ${timings.startedAt} ended ${timings.endedAt}`,
        (error: Error & { code: string }) => `${name} ${error.code}`
      )
      void result.then(() => settled.push(name))
      return result
    },
    /** The run in flight takes `ms` and ends. */
    async step(ms = 10): Promise<void> {
      clock.advance(ms)
      running?.end()
      await settle()
    },
    async fail(): Promise<void> {
      running?.fail(new Error('the device is lost'))
      await settle()
    }
  }
}

describe.each(strategies)('%s', (_, policy) => {
  it.each([2, 4])('half and full batch counts: %i that came during a run go in one', async count => {
    const { submit, step, batches } = setUp(policy(0))
    void submit(7)
    for (let slot = 0; slot < count; slot++) void submit(slot)
    await step()
    expect(batches[1]).toBe([...Array(count).keys()].join(' '))
  })

  it('skip: a session that is not ready sits out, and its row is not in the batch', async () => {
    const { submit, step, batches } = setUp(policy(0))
    for (const slot of [0, 1, 2]) void submit(slot)
    await step()
    for (const slot of [0, 2]) void submit(slot)
    await step()
    await step()
    expect(batches).toEqual(['0', '1 2', '0 2'])
  })

  it('ragged: prefills of different lengths are cut into chunks of their own', async () => {
    const { submit, step, batches } = setUp(policy(0))
    void submit(0, 6)
    void submit(1, 3)
    for (let i = 0; i < 3; i++) await step()
    expect(batches).toEqual(['0[0+4]', '1[0+3]', '0[4+2]'])
  })

  it('one run a session at a time, in the order that they came in', async () => {
    const { submit, step, batches } = setUp(policy(0))
    void submit(0, 1, { name: 'a' })
    void submit(0, 5, { name: 'b' })
    void submit(0, 1, { name: 'c' })
    for (let i = 0; i < 4; i++) await step()
    expect(batches).toEqual(['a', 'b[0+4]', 'b[4+1]', 'c'])
  })

  it('a prefill of 1,024 tokens delays the steps of others by at most one chunk', async () => {
    const { submit, step, batches } = setUp(policy(0), { chunkTokens: 64 })
    void submit(9, 1024)
    for (const slot of [0, 1]) void submit(slot)
    for (let i = 0; i < 31; i++) {
      await step()
      if (batches.at(-1) !== '0 1') for (const slot of [0, 1]) void submit(slot)
    }
    const decodes = batches.flatMap((batch, i) => (batch === '0 1' ? [i] : []))
    expect(
      decodes
        .slice(1)
        .map((at, i) => at - decodes[i]!)
        .every(gap => gap <= 2)
    ).toBe(true)
    expect(batches.filter(batch => batch.startsWith('9['))).toHaveLength(16)
  })

  it('a short prompt is not stuck behind a long one', async () => {
    const { submit, step, settled } = setUp(policy(0))
    void submit(0, 100)
    await step()
    void submit(1, 4)
    await step()
    await step()
    expect(settled).toEqual(['1'])
  })

  it('queue delay: sessions that just ran are waited for, then it runs without them', async () => {
    const { submit, step, batches, clock } = setUp(policy(5))
    void submit(0)
    void submit(1)
    await step()
    await step()
    // Both ended within the delay: 0 alone waits for 1.
    void submit(0)
    expect(batches).toEqual(['0', '1'])
    clock.advance(4)
    expect(batches).toHaveLength(2)
    clock.advance(1)
    expect(batches[2]).toBe('0')
  })

  /** A lane on which sessions 0 to 3 have just run together, so that the next of each is expected. */
  async function decoding(policy: BatchingPolicy): Promise<ReturnType<typeof setUp>> {
    const lane = setUp(policy)
    void lane.submit(9, 4)
    for (const slot of [0, 1, 2, 3]) void lane.submit(slot)
    await lane.step()
    await lane.step()
    expect(lane.batches).toEqual(['9[0+4]', '0 1 2 3'])
    return lane
  }

  it.each([
    { minUtilisation: 0.4, runs: '0 1' },
    { minUtilisation: 0.75, runs: '0 1 2' },
    { minUtilisation: 1, runs: '0 1 2 3' }
  ])('queue delay with minimum utilisation $minUtilisation of four: $runs', async ({ minUtilisation, runs }) => {
    const { submit, batches } = await decoding(policy(20, { minUtilisation }))
    for (const slot of [0, 1, 2, 3]) {
      if (batches.length === 2) void submit(slot)
    }
    expect(batches[2]).toBe(runs)
  })

  it('preferred batch size: so many run at once, whoever else is expected', async () => {
    const { submit, batches } = await decoding(policy(20, { preferredBatch: [2, 4] }))
    void submit(0)
    expect(batches, 'one is not enough').toHaveLength(2)
    void submit(1)
    expect(batches[2], 'two are').toBe('0 1')
  })

  it('queue delay: a session that decodes alone is never held back', async () => {
    const { submit, step, batches } = setUp(policy(5))
    for (let i = 0; i < 3; i++) {
      void submit(3)
      await step()
    }
    expect(batches).toEqual(['3', '3', '3'])
  })

  it('a held decode does not hold a prefill', async () => {
    const { submit, step, batches } = setUp(policy(50))
    void submit(0)
    void submit(1)
    await step(50)
    await step(10)
    void submit(0)
    expect(batches).toEqual(['0', '1'])
    void submit(2, 4)
    expect(batches).toEqual(['0', '1', '2[0+4]'])
  })

  it('timings say when it came in, started and ended', async () => {
    const { submit, step } = setUp(policy(0))
    void submit(0)
    const late = submit(1, 8)
    await step()
    await step()
    await step()
    expect(await late).toBe('1 queued 0 started 10 ended 30')
  })

  it('cancellation in the queue: it never runs, and the next of its session does', async () => {
    const { submit, step, batches } = setUp(policy(0))
    const controller = new AbortController()
    void submit(0)
    const cancelled = submit(1, 1, { name: 'a', signal: controller.signal })
    void submit(1, 1, { name: 'b' })
    controller.abort()
    expect(await cancelled).toBe('a CANCELLED')
    await step()
    expect(batches).toEqual(['0', 'b'])
  })

  it('cancellation of a run that is its own: the run is told, and settles when it has ended', async () => {
    const { submit, signals, batches, lane } = setUp(policy(0))
    const controller = new AbortController()
    const cancelled = submit(1, 9, { signal: controller.signal })
    controller.abort()
    expect(signals[0]?.aborted).toBe(true)
    expect(await cancelled).toBe('1 CANCELLED')
    expect(batches).toEqual(['1[0+4]'])
    expect(lane.pending).toBe(0)
  })

  it('cancellation of one in a shared run: the others get their result, it settles with them', async () => {
    const { submit, step, signals, settled } = setUp(policy(0))
    const controller = new AbortController()
    void submit(9)
    const results = [submit(0, 1, { signal: controller.signal }), submit(1)]
    await step()
    controller.abort()
    await settle()
    expect(signals[1]?.aborted).toBe(false)
    expect(settled).toEqual(['9'])
    await step()
    expect(await Promise.all(results)).toEqual(['0 CANCELLED', '1 queued 0 started 10 ended 20'])
  })

  it('cancellation between chunks: no further chunk runs', async () => {
    const { submit, step, batches } = setUp(policy(0))
    const controller = new AbortController()
    const prefill = submit(0, 12, { signal: controller.signal })
    void submit(1)
    await step()
    controller.abort()
    expect(await prefill).toBe('0 CANCELLED')
    await step()
    expect(batches).toEqual(['0[0+4]', '1'])
  })

  it('a run that fails fails its works only', async () => {
    const { submit, step, fail } = setUp(policy(0))
    const results = [submit(0), submit(1)]
    await fail()
    await step()
    expect(await Promise.all(results)).toEqual(['0 INTERNAL', '1 queued 0 started 0 ended 10'])
  })

  it('shutdown: what waits is cancelled, what runs is awaited', async () => {
    const { submit, lane, clock } = setUp(policy(0))
    const results = [submit(0), submit(1)]
    await lane.close()
    expect(await Promise.all(results)).toEqual(['0 CANCELLED', '1 CANCELLED'])
    expect(await submit(2)).toBe('2 CANCELLED')
    expect(clock.alarms).toBe(0)
    expect(lane.pending).toBe(0)
  })

  it('preserve ordering: results come in the order of submission, over all sessions', async () => {
    const run = async (preserveOrdering: boolean): Promise<string[]> => {
      const { submit, step, settled } = setUp(policy(0), { preserveOrdering })
      void submit(0, 12, { name: 'long' })
      void submit(1, 1, { name: 'short' })
      for (let i = 0; i < 4; i++) await step()
      return settled
    }
    expect(await run(false)).toEqual(['short', 'long'])
    expect(await run(true)).toEqual(['long', 'short'])
  })

  it('an aborted signal is refused before anything is queued', async () => {
    const { submit, batches } = setUp(policy(0))
    expect(await submit(0, 1, { signal: AbortSignal.abort() })).toBe('0 CANCELLED')
    expect(batches).toEqual([])
  })
})

describe('a lane under load', () => {
  it('does not start a run before the one in flight has ended', async () => {
    const gate = deferred()
    let inFlight = 0
    let most = 0
    const scheduler = new Scheduler<Work>({ policy: direct(), chunkTokens: 4 })
    const lane = new ComputeLane<Work>({
      clock: new CountingClock(),
      scheduler,
      run: async () => {
        most = Math.max(most, ++inFlight)
        await gate.promise
        inFlight--
      }
    })
    const results = [0, 1, 2, 3].map(slot => lane.submit({ slot, tokens: slot + 1 }))
    gate.resolve()
    await Promise.all(results)
    expect(most).toBe(1)
  })
})
