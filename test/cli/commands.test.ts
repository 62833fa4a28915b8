import { homedir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { NotAvailableError, UsageError, version } from '../../src/base/index.ts'
import { HelpShown } from '../../src/cli/command-line.ts'
import { doctorCommand } from '../../src/cli/doctor.ts'
import { generateCommand } from '../../src/cli/generate.ts'
import { defaultModel } from '../../src/cli/model-folder.ts'
import { serveCommand } from '../../src/cli/serve.ts'
import { startCommand } from '../../src/cli/start.ts'

const peer = '/ip4/127.0.0.1/tcp/31226'
const words = (line: string) => line.split(' ').filter(word => word !== '')

describe('every command', () => {
  it.each([
    ['serve', serveCommand],
    ['generate', generateCommand],
    ['start', startCommand],
    ['doctor', doctorCommand]
  ])('%s has help, a version and log flags', (_, command) => {
    expect(() => command.parse(['--help'], {})).toThrow(HelpShown)
    expect(() => command.parse(['--help'], {})).toThrow('--log-level')
    expect(() => command.parse(['--version'], {})).toThrow(version)
    expect(() => command.parse(['--no-such-flag'], {})).toThrow(UsageError)
    expect(() => command.parse(['--log-level', 'loud'], {})).toThrow('--log-level: "loud"')
    expect(() => command.parse(['surplus'], {})).toThrow('"surplus" is one argument too many')
  })

  it('suggests the flag that was meant', () => {
    expect(() => serveCommand.parse(['--blokcs', '0-2'], {})).toThrow('--blocks')
  })

  it('wants the value of a flag that has one', () => {
    expect(() => serveCommand.parse(['--blocks'], {})).toThrow(UsageError)
  })
})

describe('serve', () => {
  it('has defaults for all but the blocks', () => {
    const { options, log } = serveCommand.parse(['--blocks', '0-4'], {})
    expect(options).toMatchObject({
      model: defaultModel,
      blocks: { from: 0, to: 4 },
      announce: [],
      dataDir: expect.stringMatching(/\.andthen$/),
      device: 'auto',
      weights: 'auto',
      maxSessions: 8,
      admin: { host: '127.0.0.1', port: 0 },
      drainTimeoutMs: 30_000,
      dryRun: false
    })
    expect(Object.keys(options)).toHaveLength(10)
    expect(log).toEqual({ logLevel: 'info', logFormat: 'pretty' })
    expect(() => serveCommand.parse([], {})).toThrow('--blocks is missing')
  })

  it('reads every flag', () => {
    const line = `--blocks 4:8 --listen /ip4/127.0.0.1/tcp/0 --listen /ip4/127.0.0.2/tcp/0 --announce ${peer} --data-dir /d
      --identity /i --device cpu --weights f32 --threads 2 --max-length 100 --max-sessions 3 --memory 2GiB --admin off
      --admin-token-file /t --drain-timeout 5s --dry-run --slots 2 --park-memory 1GiB --delegate-memory 5GiB --park-dir /p --park-size 3GiB
      --batching oldest --queue-delay 2ms --idle-timeout 0 --grace 1s --backlog 0 --backlog-timeout 7 --hooks /h.js
      --min-utilisation 0.5 --preferred-batch 1,2 --preserve-ordering
      --connection-idle-timeout 0.5 --max-connections 9 --swarm-key /s --force-private --allow 10.0.0.0/8,p --deny q
      --max-dials 5 --shared-hosts 10.0.0.1,fd00::/8 --peer-connections 8 --peer-dials 2 --peer-requests 3 --peer-sessions 4 --peer-bytes 5MiB --keep-alive 1s --tcp-keep-alive 0
      --relay ${peer} --relay-others --relay-places 6 --relay-places-per-host 2 --relay-bytes 7MiB --hole-punching --upnp
      --onnxruntime / --cuda-memory 8GiB --cuda-arena doubling --cuda-graph --log-level debug --log-format json`
    const { options, log } = serveCommand.parse(words(line.replaceAll('\n', ' ')), {})
    expect(options).toEqual({
      model: defaultModel,
      blocks: { from: 4, to: 8 },
      listen: ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.2/tcp/0'],
      announce: [peer],
      dataDir: '/d',
      identity: '/i',
      device: 'cpu',
      weights: 'f32',
      threads: 2,
      maxLength: 100,
      maxSessions: 3,
      memory: 2 * 2 ** 30,
      admin: 'off',
      adminTokenFile: '/t',
      drainTimeoutMs: 5000,
      dryRun: true,
      slots: 2,
      parkMemory: 2 ** 30,
      delegateMemory: 5 * 2 ** 30,
      parkDir: '/p',
      parkSize: 3 * 2 ** 30,
      batching: 'oldest',
      queueDelayMs: 2,
      minUtilisation: 0.5,
      preferredBatch: [1, 2],
      preserveOrdering: true,
      idleTimeoutMs: 0,
      graceMs: 1000,
      backlog: 0,
      backlogTimeoutMs: 7000,
      hooks: '/h.js',
      connectionIdleTimeoutMs: 500,
      maxConnections: 9,
      swarmKey: '/s',
      forcePrivate: true,
      allow: ['10.0.0.0/8', 'p'],
      deny: ['q'],
      onnxruntime: '/',
      cuda: { memoryLimit: 8 * 2 ** 30, arena: 'doubling', graph: true },
      maxDials: 5,
      sharedHosts: ['10.0.0.1', 'fd00::/8'],
      peerLimits: { connections: 8, dials: 2, requests: 3, sessions: 4, bytes: 5 * 2 ** 20 },
      keepAliveMs: 1000,
      tcpKeepAliveMs: 0,
      relays: [peer],
      relaying: { places: 6, placesPerHost: 2, bytes: 7 * 2 ** 20 },
      holePunching: true,
      upnp: true
    })
    expect(log).toEqual({ logLevel: 'debug', logFormat: 'json' })
  })

  it('refuses a folder of ONNX Runtime that is none', () => {
    const given = (folder: string) => serveCommand.parse(['--blocks', '0-1', '--onnxruntime', folder], {})
    for (const folder of ['./none', 'package.json', 'package.json/x', 'a'.repeat(5000)])
      expect(() => given(folder)).toThrow(`--onnxruntime: "${folder}" is no folder`)
    expect(() => serveCommand.parse([], { ANDTHEN_ONNXRUNTIME: './none' })).toThrow('ANDTHEN_ONNXRUNTIME: "./none"')
  })

  it('refuses limits of a relay that is none', () => {
    for (const limit of ['--relay-places 3', '--relay-places-per-host 3', '--relay-bytes 1MiB'])
      expect(() => serveCommand.parse(words(`--blocks 0-1 ${limit}`), {})).toThrow('--relay-others')
    expect(() => serveCommand.parse(words('--blocks 0-1 --peer-bytes 0'), {})).toThrow('no limit')
  })

  it('is configured by its environment alone', () => {
    const environment = {
      ANDTHEN_BLOCKS: 'all',
      ANDTHEN_LISTEN: `${peer},${peer}`,
      ANDTHEN_LOG_FORMAT: 'json',
      ANDTHEN_CONNECTION_IDLE_TIMEOUT: '20',
      ANDTHEN_FORCE_PRIVATE: '1'
    }
    const { options, log } = serveCommand.parse([], environment)
    const swarm = { connectionIdleTimeoutMs: 20_000, forcePrivate: true }
    expect(options).toMatchObject({ blocks: 'all', listen: [peer, peer], ...swarm })
    const client = { ...environment, ANDTHEN_PEERS: peer, ANDTHEN_PROMPT: 'a', ANDTHEN_BLOCKS: '' }
    expect(generateCommand.parse([], client).options.connect).toMatchObject(swarm)
    expect(log.logFormat).toBe('json')
  })
})

describe('generate', () => {
  const required = ['--peers', peer, '--prompt', 'a']

  it('has defaults for all but peers and prompt', () => {
    expect(generateCommand.parse(required, {}).options).toEqual({
      connect: {
        model: defaultModel,
        peers: [peer],
        route: 'push',
        verify: 'auto',
        timeouts: { connectMs: 10_000, stepMs: 30_000, waitMs: 30_000 }
      },
      generate: { prompt: 'a', maxNewTokens: 128, sampling: 'settings', stop: [] },
      json: false,
      explain: false,
      dryRun: false,
      proofDir: join(homedir(), '.andthen', 'proofs')
    })
  })

  it('reads every flag', () => {
    const line = `--peers ${peer},${peer} --prompt-ids 5,17 --max-new-tokens 3 --temperature 0.5 --top-p 0.9 --top-k 40
      --repetition-penalty 1.1 --priority -2 --seed 7 --sampling model --stop a,b --stop c --route relay --verify digest
      --connect-timeout 1s --step-timeout 2s --wait 3s --json --explain --trace t --proof-dir /p`
    expect(generateCommand.parse(words(line.replaceAll('\n', ' ')), {}).options).toEqual({
      connect: {
        model: defaultModel,
        peers: [peer, peer],
        route: 'relay',
        verify: 'digest',
        timeouts: { connectMs: 1000, stepMs: 2000, waitMs: 3000 }
      },
      generate: {
        promptIds: [5, 17],
        maxNewTokens: 3,
        sampling: 'model',
        temperature: 0.5,
        topP: 0.9,
        topK: 40,
        repetitionPenalty: 1.1,
        seed: 7,
        priority: -2,
        stop: ['a,b', 'c']
      },
      json: true,
      explain: true,
      dryRun: false,
      trace: 't',
      proofDir: '/p'
    })
  })

  it('keeps proofs with the rest of its data', () => {
    const environment = { ANDTHEN_DATA_DIR: '/d' }
    expect(generateCommand.parse(required, environment).options.proofDir).toBe('/d/proofs')
    expect(generateCommand.parse([...required, '--proof-dir', '/p'], environment).options.proofDir).toBe('/p')
  })

  it.each([
    { name: 'no peers', argv: ['--prompt', 'a'], message: '--peers is missing' },
    { name: 'no prompt', argv: ['--peers', peer], message: 'one of --prompt and --prompt-ids' },
    { name: 'two prompts', argv: [...required, '--prompt-ids', '1'], message: 'one of --prompt and --prompt-ids' },
    { name: 'ids in a chat', argv: ['--peers', peer, '--prompt-ids', '1', '--chat'], message: '--chat wants --prompt' },
    { name: 'no multiaddr', argv: ['--peers', 'nowhere', '--prompt', 'a'], message: '"nowhere" is not a multiaddr' },
    { name: 'a negative temperature', argv: [...required, '--temperature', '-1'], message: '--temperature: "-1"' },
    { name: 'top-p above 1', argv: [...required, '--top-p', '2'], message: '--top-p: "2"' },
    { name: 'no penalty', argv: [...required, '--repetition-penalty', '0'], message: '--repetition-penalty: "0"' }
  ])('refuses $name', ({ argv, message }) => {
    expect(() => generateCommand.parse(argv, {})).toThrow(UsageError)
    expect(() => generateCommand.parse(argv, {})).toThrow(message)
  })

  it('refuses what this version lacks', () => {
    expect(() => generateCommand.parse([...required, '--model', 'owner/name'], {})).toThrow(NotAvailableError)
  })

  it('predicts without a prompt', () => {
    expect(generateCommand.parse(['--peers', peer, '--dry-run'], {}).options.dryRun).toBe(true)
    expect(() => generateCommand.parse([...required, '--prompt-ids', '1', '--dry-run'], {})).toThrow(UsageError)
  })

  it('takes an empty prompt, and a dash for stdin, as they are', () => {
    expect(generateCommand.parse(['--peers', peer, '--prompt', ''], {}).options.generate.prompt).toBe('')
    expect(generateCommand.parse(['--peers', peer, '--prompt', '-'], {}).options.generate.prompt).toBe('-')
  })
})

describe('start', () => {
  it('takes what generate takes', () => {
    const argv = ['--exit', '--prompt', 'x', '--max-new-tokens', '48', '--temperature', '0.5', '--route', 'relay']
    expect(startCommand.parse(argv, {}).options).toEqual({
      prompt: 'x',
      maxNewTokens: 48,
      temperature: 0.5,
      route: 'relay',
      exit: true
    })
  })
})
