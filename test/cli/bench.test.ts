import { describe, expect, it } from 'vitest'
import { NotAvailableError, silentLogger, UsageError } from '../../src/base/index.ts'
import { benchCommand } from '../../src/cli/bench.ts'
import { HelpShown } from '../../src/cli/command-line.ts'
import { recordingTerminal } from './recording-terminal.ts'
import { defaultModel } from '../../src/cli/model-folder.ts'

const parse = (...argv: string[]) => benchCommand.parse(argv, {}).options
const peer = '/ip4/127.0.0.1/tcp/31226'

it('has help', () => {
  expect(() => parse('--help')).toThrow(HelpShown)
})

it('says what its names are, in its help and where none or one too many is given', () => {
  const names = 'span|chain|routes|load|flood|sessions|gpu|soak'
  expect(() => parse('--help')).toThrow(`<${names}>`)
  expect(() => parse()).toThrow(names)
  expect(() => parse('span', 'chain')).toThrow('"chain" is one argument too many')
})

it('has defaults for all but the name', () => {
  expect(parse('routes')).toMatchObject({
    name: 'routes',
    json: false,
    init: {
      serve: [expect.stringMatching(/bin\/serve$/)],
      model: defaultModel,
      servers: 4,
      shape: { delayMs: 25, jitterMs: 0, bandwidth: null },
      verify: ['auto', 'none', 'digest', 'copy'],
      promptTokens: 32,
      tokens: 128,
      runs: 10,
      warmup: 1,
      seed: 1
    }
  })
})

it('reads every flag', () => {
  const shaped = ['--link', 'relay', '--delay', '5ms', '--jitter', '2ms', '--bandwidth', '100Mbit']
  const size = ['--servers', '2', '--prompt-tokens', '8', '--tokens', '16', '--runs', '3', '--warmup', '0']
  const rest = ['--routes', 'push', '--verify', 'none,copy', '--seed', '7', '--json', '--out', 'd']
  expect(parse('load', ...shaped, ...size, ...rest, '--request-rate', '2.5', '--requests', '9')).toMatchObject({
    name: 'load',
    json: true,
    init: {
      shape: { delayMs: 5, jitterMs: 2, bandwidth: 100e6 },
      ...{ servers: 2, promptTokens: 8, tokens: 16, runs: 3, warmup: 0, seed: 7, out: 'd', requests: 9 },
      ...{ routes: ['push'], verify: ['none', 'copy'], arrivals: { kind: 'open', requestRate: 2.5 } }
    }
  })
})

it('measures the device that it is told, through the library that it is told', () => {
  expect(parse('gpu').gpu).toEqual({})
  const flags = [
    '--device',
    'cuda:1',
    '--onnxruntime',
    'src/runtime',
    '--cuda-memory',
    '8GiB',
    '--cuda-graph',
    '--runs',
    '5'
  ]
  expect(parse('gpu', ...flags)).toMatchObject({
    gpu: {
      device: 'cuda:1',
      libraryFolder: expect.stringMatching(/runtime$/),
      cuda: { memoryLimit: 2 ** 33, graph: true }
    },
    rounds: 5
  })
})

it('sessions are measured by defaults of their own', () => {
  expect(parse('sessions')).toMatchObject({ rounds: undefined, sessions: {} })
  const flags = [
    '--model',
    defaultModel,
    '--tokens',
    '5',
    '--prompt-tokens',
    '6',
    '--requests',
    '7',
    '--concurrency',
    '8'
  ]
  expect(parse('sessions', ...flags).sessions).toEqual({
    ...{ model: defaultModel, steps: 5, promptTokens: 6, abandoned: 7, decoders: 8 }
  })
})

describe('links', () => {
  it.each([
    { argv: ['chain'], shape: null },
    { argv: ['load'], shape: null },
    { argv: ['routes', '--link', 'none'], shape: null },
    { argv: ['chain', '--delay', '10ms'], shape: { delayMs: 10, jitterMs: 0, bandwidth: null } },
    { argv: ['load', '--bandwidth', '1Gbit'], shape: { delayMs: 25, jitterMs: 0, bandwidth: 1e9 } },
    { argv: ['chain', '--link', 'relay', '--delay', '0ms'], shape: { delayMs: 0, jitterMs: 0, bandwidth: null } },
    { argv: ['routes', '--peers', peer], shape: null }
  ])('$argv', ({ argv, shape }) => {
    expect(parse(...argv).init.shape).toEqual(shape)
  })
})

it.each([
  { argv: ['speed'], message: '"speed" is not one of span, chain, routes, load, flood, sessions, gpu, soak' },
  { argv: ['load', '--concurrency', '2', '--request-rate', '1'], message: 'give one of --concurrency' },
  {
    argv: ['routes', '--peers', peer, '--delay', '5ms'],
    message: '--peers are measured over the links that they have'
  },
  { argv: ['routes', '--link', 'none', '--jitter', '5ms'], message: '--link none cannot be shaped' },
  { argv: ['span', '--peers', peer], message: 'span measures this machine' },
  { argv: ['gpu', '--peers', peer], message: 'gpu measures this machine' },
  { argv: ['span', '--device', 'cuda'], message: '--device and --cuda-... are for the bench gpu' },
  { argv: ['routes', '--cuda-graph'], message: '--device and --cuda-... are for the bench gpu' },
  { argv: ['flood', '--peers', peer], message: 'flood measures this machine' },
  { argv: ['routes', '--tokens', '1'], message: '--tokens: "1"' }
])('refuses $argv', ({ argv, message }) => {
  expect(() => parse(...argv)).toThrow(UsageError)
  expect(() => parse(...argv)).toThrow(message)
})

it('says what this version lacks', () => {
  expect(() => parse('gpu', '--device', 'webgpu')).toThrow(NotAvailableError)
  expect(() => parse('routes', '--link', 'tun')).toThrow(NotAvailableError)
})

describe('soak', () => {
  it('takes ten minutes unless told otherwise, and pours nothing in unless asked to', () => {
    expect(parse('soak').soak).toEqual({ durationMs: 600_000, flood: false })
    expect(parse('soak', '--duration', '5s', '--flood', '--seed', '9')).toMatchObject({
      soak: { durationMs: 5_000, flood: true },
      init: { seed: 9 }
    })
  })

  it('is of servers of its own', () => {
    expect(() => parse('soak', '--peers', peer)).toThrow(UsageError)
  })
})

it('a span is not measured once it is interrupted', async () => {
  const context = { terminal: recordingTerminal(), logger: silentLogger, environment: {}, signal: AbortSignal.abort() }
  await expect(benchCommand.prepare(['span'], {}).run(context)).rejects.toMatchObject({ code: 'CANCELLED' })
})
