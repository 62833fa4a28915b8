import { describe, expect, it } from 'vitest'
import type { Open } from '../../../src/wire/index.ts'
import { Bench, CREDIT_BYTES, inputDigest, MAX_LENGTH, openOf, sessionId, settle } from './bench.ts'
import { expectedOutput, statesOf } from './fake-runner.ts'

const bytesOf = (view: Uint8Array): number[] => [...view]

describe('a session', () => {
  it('opens, computes what its owner sends, and ends when its owner says so', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    expect(owner.last('opened')).toMatchObject({ maxTentative: 4, credit: { steps: 8, bytes: CREDIT_BYTES } })

    const prompt = statesOf(1, 2, 3)
    owner.step({ step: 0, n: 3 }, prompt)
    owner.step({ step: 1, position: 3 }, statesOf(4))
    await settle()
    const whole = expectedOutput(statesOf(1, 2, 3, 4))
    const outputs = owner.told.filter(({ kind }) => kind === 'output')
    expect(outputs.map(({ tensor }) => bytesOf(tensor!))).toEqual([
      bytesOf(whole.subarray(0, 48)),
      bytesOf(whole.subarray(48))
    ])
    const [first] = owner.all('output')
    expect(bytesOf(first!.inputDigest)).toEqual(bytesOf(inputDigest(node, 0, prompt)))
    expect(owner.last('output').lengths).toEqual({ length: 4, committed: 4 })

    owner.send({ kind: 'close', value: {} })
    await settle()
    expect(owner.last('terminated')).toMatchObject({ reason: 'END', lengths: { length: 4, committed: 4 } })
    expect(owner.stream.ended).toBe(true)
    expect([node.runner.length(0), node.server.sessions()]).toEqual([0, []])
  })

  it.each<[name: string, open: Partial<Open>, code: string]>([
    ['another protocol version', { version: 2 }, 'VERSION'],
    ['another model', { modelDigest: new Uint8Array(32) }, 'MODEL_MISMATCH'],
    ['no model', { modelDigest: new Uint8Array() }, 'MODEL_MISMATCH'],
    ['blocks that are not served', { to: 5 }, 'BLOCKS_NOT_SERVED'],
    ['part of the blocks', { from: 1 }, 'BLOCKS_NOT_SERVED'],
    ['more tokens than fit', { maxLength: MAX_LENGTH + 1 }, 'LENGTH_EXCEEDED'],
    ['another codec', { codec: 3 }, 'CODEC'],
    ['no id', { id: new Uint8Array() }, 'BAD_REQUEST'],
    ['a short id', { id: new Uint8Array(5) }, 'FRAME_MALFORMED']
  ])('that asks for %s is refused', async (_, open, code) => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = bench.owner(node)
    owner.send({ kind: 'open', value: openOf(node, open) })
    await settle()
    expect(owner.codes).toEqual([code])
    expect(owner.stream.ended).toBe(true)
    expect(node.server.sessions()).toEqual([])
  })

  it('with the id of a live one is refused, and with `replace` takes its place', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const first = await bench.session(node)
    const second = bench.owner(node)
    second.send({ kind: 'open', value: openOf(node) })
    await settle()
    expect(second.codes).toEqual(['SESSION_EXISTS'])
    await bench.session(node, { replace: true })
    expect(first.last('terminated').reason).toBe('SUPERSEDED')
  })

  it.each([
    ['a gap in the steps', { step: 1 }, statesOf(1), 'GAP'],
    ['a gap in the positions', { position: 1 }, statesOf(1), 'GAP'],
    ['an epoch that was not begun', { epoch: 1 }, statesOf(1), 'EPOCH'],
    ['no tokens', { n: 0 }, undefined, 'BAD_STEP'],
    ['too few bytes', { n: 2 }, statesOf(1), 'BAD_STEP'],
    ['bytes that are no floats', { n: 1 }, new Uint8Array(15), 'BAD_STEP'],
    ['more tokens than the session holds', { n: 9 }, statesOf(1, 2, 3, 4, 5, 6, 7, 8, 9), 'LENGTH_EXCEEDED']
  ])('goes on after it was asked for %s', async (_, step, tensor, code) => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node, { maxLength: 8 })
    owner.step(step, tensor)
    await settle()
    expect(owner.codes).toEqual([code])
    expect(owner.last('error')).toMatchObject({ hasStep: true, lengths: { length: 0, committed: 0 } })
    owner.step({ step: 0 }, statesOf(1))
    await settle()
    expect(owner.last('output').lengths.committed).toBe(1)
  })

  it('refuses steps beyond its credit', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    for (let step = 0; step < 9; step++) owner.step({ step, position: step })
    await settle()
    expect(owner.codes).toEqual(['FLOW'])
    expect(owner.last('error').step).toBe(8)
  })

  it('answers a step that it is asked for again from what it keeps, and computes it once', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    for (let step = 0; step < 6; step++) owner.step({ step, position: step }, statesOf(step))
    await settle()
    owner.step({ step: 5, position: 5 })
    owner.step({ step: 0, position: 0 })
    await settle()
    const [original, repeat] = owner.all('output').slice(-2)
    expect(repeat).toEqual(original)
    expect(owner.codes).toEqual(['GONE'])
    expect(node.runner.runs).toBe(6)
  })

  it('is cut back by a rewind to a higher epoch, and by no other', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    owner.step({ step: 0, n: 3 }, statesOf(1, 2, 3))
    await settle()
    owner.send({ kind: 'rewind', value: { epoch: 0, length: 1 } })
    owner.send({ kind: 'rewind', value: { epoch: 1, length: 1 } })
    owner.step({ epoch: 1, step: 0, position: 1 }, statesOf(2))
    await settle()
    expect(owner.codes).toEqual(['EPOCH'])
    expect(owner.last('rewound')).toMatchObject({ epoch: 1, lengths: { length: 1, committed: 1 } })
    expect(bytesOf(owner.told.at(-1)!.tensor!)).toEqual(bytesOf(expectedOutput(statesOf(1, 2)).subarray(16)))
  })

  it('that ends in the middle of a run is answered no more, and its row is emptied after the run', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    let open: () => void = () => undefined
    node.runner.gate = new Promise(resolve => {
      open = resolve
    })
    owner.step({ step: 0 }, statesOf(1))
    await settle()
    owner.send({ kind: 'close', value: {} })
    await settle()
    expect(owner.last('terminated').reason).toBe('END')
    expect(node.server.sessions()).toMatchObject([{ state: 'terminating' }])
    open()
    await settle()
    expect([node.server.sessions(), owner.all('output'), node.ledger.tokens]).toEqual([[], [], 0])
  })

  it('whose run fails is told so and ends', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    node.runner.fails = new Error('out of memory')
    owner.step({ step: 0 }, statesOf(1))
    await settle()
    expect(owner.last('error')).toMatchObject({ code: 'RUN_FAILED', retryable: true })
    expect(owner.last('terminated').reason).toBe('ERROR')
  })

  it('whose owner does not read ends instead of growing', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    owner.step({ step: 0, n: 65_536 }, new Uint8Array(65_536 * 16))
    await settle()
    owner.last('output')
    owner.stream.other.stalled = true
    for (let i = 0; i < 70; i++) owner.step({ step: 0, n: 65_536 })
    await settle()
    expect(node.server.sessions()).toEqual([])
    expect(owner.codes).toEqual(['SLOW_READER'])
    expect(owner.last('terminated').reason).toBe('ERROR')
  })
})

describe('a stream', () => {
  it('that does not begin with open or resume, or begins twice, is given up', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const early = bench.owner(node)
    early.send({ kind: 'keepAlive', value: {} })
    const twice = await bench.session(node)
    twice.send({ kind: 'open', value: openOf(node, { id: new Uint8Array(16).fill(2) }) })
    const silent = bench.owner(node)
    bench.clock.advance(10_000)
    await settle()
    for (const owner of [early, twice, silent]) {
      expect(owner.codes).toEqual(['BAD_REQUEST'])
      expect(owner.stream.ended).toBe(true)
    }
  })

  it.each([
    ['garbage', [Buffer.from([3, 255, 255, 255])], 'FRAME_MALFORMED'],
    ['a header that is too long', [Buffer.from([0x81, 0x80, 0x04])], 'FRAME_TOO_LARGE'],
    ['a length without end', [Buffer.from([0xff, 0xff, 0xff])], 'FRAME_TOO_LARGE']
  ])('of %s is given up with a typed error, and its session waits for a resume', async (_, chunks, code) => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    owner.stream.send(chunks)
    await settle()
    expect(owner.codes).toEqual([code])
    expect(owner.stream.ended).toBe(true)
    expect(node.server.sessions()).toHaveLength(1)
    bench.clock.advance(10_000)
    await settle()
    expect(node.server.sessions()).toEqual([])
  })

  it('with a tensor that is too large is given up by its header', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    owner.step({ step: 0, n: CREDIT_BYTES }, new Uint8Array(CREDIT_BYTES + 16))
    await settle()
    expect(owner.codes).toEqual(['TENSOR_TOO_LARGE'])
  })

  it('is replaced by a resume, which repeats the answers that the owner lacks', async () => {
    const bench = new Bench()
    const node = await bench.node('server')
    const owner = await bench.session(node)
    const { incarnation } = owner.last('opened')
    for (let step = 0; step < 3; step++) owner.step({ step, position: step }, statesOf(step))
    await settle()
    const stranger = bench.owner(node, 'mallory')
    stranger.send({ kind: 'resume', value: { id: sessionId, incarnation, epoch: 0, outputs: 0 } })
    const wrong = bench.owner(node)
    wrong.send({ kind: 'resume', value: { id: sessionId, incarnation: new Uint8Array(16), epoch: 0, outputs: 0 } })
    await settle()
    expect([stranger.codes, wrong.codes]).toEqual([['UNKNOWN_SESSION'], ['UNKNOWN_SESSION']])
    expect(owner.stream.ended).toBe(false)

    const again = bench.owner(node)
    again.send({ kind: 'resume', value: { id: sessionId, incarnation, epoch: 0, outputs: 1 } })
    await settle()
    expect(owner.stream.ended).toBe(true)
    expect(again.last('resumed')).toMatchObject({ epoch: 0, nextStep: 3, lengths: { length: 3, committed: 3 } })
    expect(again.all('output')).toEqual(owner.all('output').slice(1))
    again.step({ step: 3, position: 3 }, statesOf(3))
    bench.clock.advance(20_000)
    await settle()
    expect(again.last('output').lengths.committed).toBe(4)
  })
})
