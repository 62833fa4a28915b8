import { describe, expect, it } from 'vitest'
import { bytes, readyForPeople } from '../../src/cli/serve-ready.ts'
import type { ReadyInfo } from '../../src/node/index.ts'

const address = '/ip4/127.0.0.1/tcp/31226/p2p/12D3KooWGRUfJ8oDKfMLcsTTkDnbcVAzuQeMZFH8WTSECRFVdRCX'
const info: ReadyInfo = {
  event: 'ready',
  peerId: '12D3KooWGRUfJ8oDKfMLcsTTkDnbcVAzuQeMZFH8WTSECRFVdRCX',
  addresses: [address, '/ip4/127.0.0.1/tcp/1'],
  model: 'tiny',
  modelDigest: '00',
  modelBlocks: 12,
  blocks: [0, 4],
  device: 'cpu',
  deviceReason: 'no GPU',
  weights: 'f32',
  threads: 2,
  maxLength: 512,
  maxSessions: 8,
  slots: 8,
  memoryBytes: { weights: 3 * 2 ** 20, kv: 2 ** 30 },
  reachable: 'unknown',
  admin: 'http://127.0.0.1:1',
  pid: 1,
  version: '0.1.0',
  protocol: '1'
}
const shown = (change: Partial<ReadyInfo> = {}) => readyForPeople({ ...info, ...change }, 'RUN', text => text)

describe('what people see of a node that serves', () => {
  it.each([
    'Serving blocks 0 to 3 of 12.',
    'cpu, 2 threads: no GPU',
    '3.0 MiB weights, 1.0 GiB KV cache',
    address,
    'http://127.0.0.1:1',
    `RUN --peers ${address},`,
    'can be inferred'
  ])('%s', text => expect(shown()).toContain(text))

  it('asks for no other servers where it serves the whole model', () => {
    expect(shown({ blocks: [0, 12] })).toContain(`RUN --peers ${address} --prompt`)
  })

  it.each([
    ['direct', 'directly'],
    ['relay', 'through a relay'],
    ['unknown', 'unknown']
  ] as const)('says how it is reached: %s', (how, words) => {
    expect(shown({ reachable: how })).toMatch(new RegExp(`reachable +${words}`))
  })

  it('says that the admin server is off', () => expect(shown({ admin: null })).toMatch(/admin +off/))
})

it.each([
  [0, '0 bytes'],
  [1023, '1023 bytes'],
  [1024, '1.0 KiB'],
  [1.5 * 2 ** 20, '1.5 MiB'],
  [2 ** 50, '1024.0 TiB']
])('%d bytes are %s', (count, text) => expect(bytes(count)).toBe(text))
