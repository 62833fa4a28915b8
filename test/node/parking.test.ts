import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { silentLogger, systemClock } from '../../src/base/index.ts'
import { openSession, type SpanSession } from '../../src/inference/index.ts'
import { createIdentity, createNetwork, type Network } from '../../src/network/index.ts'
import { serve, type ServeOptions, type ServerNode } from '../../src/node/index.ts'
import { Want } from '../../src/wire/index.ts'

// Sessions that take turns on one row of the real runner, through the real network.

const HIDDEN = 128
const STEPS = 3

/** Any hidden states do: [1, hidden]. */
function statesOf(session: number, step: number): Uint8Array {
  const states = Float32Array.from({ length: HIDDEN }, (_, i) => Math.sin(i + 10 * session + 100 * step))
  return new Uint8Array(states.buffer)
}

async function serving(options: Partial<ServeOptions>): Promise<ServerNode> {
  const node = await serve({
    model: 'models/tiny-shakespeare',
    blocks: { from: 0, to: 2 },
    listen: ['/ip4/127.0.0.1/tcp/0'],
    threads: 1,
    ...options
  })
  onTestFinished(() => node.close())
  return node
}

async function client(): Promise<Network> {
  const network = await createNetwork({ identity: await createIdentity() })
  onTestFinished(() => network.close())
  return network
}

function opened(network: Network, { info }: ServerNode): Promise<SpanSession> {
  const [from, to] = info.blocks
  const modelDigest = Buffer.from(info.modelDigest, 'hex')
  const asked = { peer: info.addresses, modelDigest, from, to, maxLength: 16, maxTensorBytes: 4 * HIDDEN }
  return openSession({ network, logger: silentLogger, clock: systemClock }, { ...asked, verify: 'copy' })
}

function answer(session: SpanSession, step: number, input: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    session.listen({
      onOutput: (_, bytes) => new Uint8Array(bytes),
      onTensor: (_, tensor) => resolve(tensor),
      onNeedCopy: () => undefined,
      onMismatch: () => undefined,
      onEnd: reject
    })
    session.step({ step, position: step, n: 1, want: Want.tensor }, input)
  })
}

/** Every session's answers, each step of all sessions before the next one of any. */
async function rounds(sessions: readonly SpanSession[]): Promise<Uint8Array[][]> {
  const answers: Uint8Array[][] = []
  for (let step = 0; step < STEPS; step++)
    answers.push(await Promise.all(sessions.map((session, i) => answer(session, step, statesOf(i, step)))))
  return answers
}

const parked = async ({ info }: ServerNode): Promise<number> => {
  const text = await (await fetch(`${info.admin}/metrics`)).text()
  return Number(/^andthen_sessions_parked_total (\d+)$/m.exec(text)?.[1])
}

it.each(['memory', 'a folder'])(
  'sessions that share a row, parked in %s, compute what they compute alone',
  async place => {
    const folder = await mkdtemp(join(tmpdir(), 'andthen-parking-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const parking = place === 'memory' ? { parkMemory: 2 ** 24 } : { parkDir: folder }
    const [roomy, shared] = [await serving({ maxSessions: 2 }), await serving({ maxSessions: 2, slots: 1, ...parking })]
    const network = await client()
    const open = (node: ServerNode) => Promise.all([opened(network, node), opened(network, node)])
    const expected = await rounds(await open(roomy))
    const sessions = await open(shared)
    expect(await rounds(sessions)).toEqual(expected)
    // The second one's grant, and all turns but the last, took the row from the other.
    expect(await parked(shared)).toBeGreaterThanOrEqual(STEPS)
    const files = async () => (await readdir(folder, { recursive: true })).filter(name => name.endsWith('.kv'))
    expect(await files()).toHaveLength(place === 'memory' ? 0 : 1)
    await Promise.all(sessions.map(session => session.close()))
    expect(await files()).toEqual([])
  }
)
