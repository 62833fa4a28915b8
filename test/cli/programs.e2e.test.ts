import { describe, expect, it } from 'vitest'
import { version } from '../../src/base/index.ts'
import { program } from './program.ts'

const peer = '/ip4/127.0.0.1/tcp/31226'

describe('wrong usage ends with status 2 and one line on stderr', () => {
  it.each([
    { name: 'an unknown flag', run: ['serve', '--blokcs', '0-2'], says: '--blokcs' },
    { name: 'no blocks', run: ['serve'], says: '--blocks is missing' },
    { name: 'blocks beyond the model', run: ['serve', '--blocks', '0-13'], says: '--blocks 0-13' },
    { name: 'a reversed range', run: ['serve', '--blocks', '4-2'], says: '2-4' },
    {
      name: 'a device to come',
      run: ['serve', '--blocks', '0-2', '--device', 'webgpu'],
      says: 'not available in this'
    },
    {
      name: 'a type for another device',
      run: ['serve', '--blocks', '0-2', '--device', 'cpu', '--weights', 'f16'],
      says: '--device cuda'
    },
    { name: 'weights to come', run: ['serve', '--blocks', '0-2', '--weights', 'int4'], says: 'not available in this' },
    { name: 'a model of the hub', run: ['serve', '--blocks', '0-2', '--model', 'a/b'], says: 'not available in this' },
    { name: 'no such folder', run: ['serve', '--blocks', '0-2', '--model', './none'], says: '"./none" is no folder' },
    { name: 'no multiaddr', run: ['generate', '--peers', 'nowhere', '--prompt', 'a'], says: '"nowhere"' },
    {
      name: 'a peer that is none',
      run: ['generate', '--peers', '/ip4/1.2.3.4/udp/1', '--prompt', 'a'],
      says: '--peers: '
    },
    { name: 'an empty list', run: ['serve', '--blocks', 'all', '--listen', ','], says: '--listen: "," holds no value' },
    { name: 'a peer to allow', run: ['serve', '--blocks', 'all', '--allow', 'ann'], says: '--allow: "ann"' },
    {
      name: 'a range to deny',
      run: ['serve', '--blocks', 'all', '--deny', '10.0.0.0/99'],
      says: '--deny: "10.0.0.0/99"'
    },
    { name: 'a relay without id', run: ['serve', '--blocks', 'all', '--relay', peer], says: '--relay: ' },
    { name: 'where to listen', run: ['serve', '--blocks', 'all', '--listen', '/dns4/a/tcp/1'], says: '--listen: ' },
    {
      name: 'what to announce',
      run: ['serve', '--blocks', 'all', '--announce', '/ip4/1.2.3.999/tcp/1'],
      says: '--announce: '
    },
    {
      name: 'a folder to park in',
      run: ['serve', '--blocks', 'all', '--park-dir', 'package.json/a'],
      says: '--park-dir: '
    },
    {
      name: 'an open admin port',
      run: ['serve', '--blocks', 'all', '--admin', '0.0.0.0:0'],
      says: '--admin-token-file'
    },
    {
      name: 'a timeout of nothing',
      run: ['generate', '--peers', peer, '--connect-timeout', '0'],
      says: '--connect-timeout: "0"'
    },
    { name: 'an empty stop', run: ['generate', '--peers', peer, '--prompt', 'a', '--stop', ''], says: '--stop: ""' },
    { name: 'a switch with a value', run: ['serve', '--dry-run=yes'], says: '--dry-run takes no value' },
    { name: 'a flag without its value', run: ['serve', '--blocks'], says: '--blocks <A-B> has no value' },
    { name: 'a bench that is not named', run: ['bench'], says: 'an argument is missing: give span|chain' },
    { name: 'where results go', run: ['bench', 'load', '--out', 'package.json'], says: '--out: "package.json"' },
    { name: 'an unknown command', run: ['andthen', 'fly'], says: '"fly" is no command' },
    { name: 'an unknown benchmark', run: ['bench', 'speed'], says: '"speed"' }
  ])('$name', async ({ run: [name = '', ...args], says }) => {
    const { status, out, err } = await program(name, args)
    expect({ status, out, lines: err.trimEnd().split('\n').length }).toEqual({ status: 2, out: '', lines: 1 })
    expect(err).toContain(says)
  })

  it('from the environment too', async () => {
    const { status, err } = await program('serve', ['--blocks', '0-2'], { ANDTHEN_MAX_SESSIONS: 'many' })
    expect(status).toBe(2)
    expect(err).toContain('ANDTHEN_MAX_SESSIONS: "many"')
  })

  it('with a stack trace when debugging', async () => {
    const args = ['--peers', peer, '--prompt', 'a', '--model', 'models', '--log-level']
    expect((await program('generate', [...args, 'info'])).err).not.toMatch(/^ {4}at /m)
    expect((await program('generate', [...args, 'debug'])).err).toMatch(/^ {4}at /m)
  })
})

describe('a GPU that is not there ends with status 1 and one line on stderr', () => {
  it.each([
    { name: 'serve', args: ['--blocks', '0-2', '--device', 'cuda:99'] },
    { name: 'bench', args: ['gpu', '--device', 'cuda:99'] }
  ])('$name', async ({ name, args }) => {
    const { status, out, err } = await program(name, args)
    expect({ status, out, lines: err.trimEnd().split('\n').length }).toEqual({ status: 1, out: '', lines: 1 })
    expect(err).toContain('cuda:99')
  })
})

describe('what is asked for goes to stdout, with status 0', () => {
  it.each(['serve', 'generate', 'bench', 'doctor', 'andthen'])('%s --version', async name => {
    expect(await program(name, ['--version'])).toEqual({ status: 0, out: `${version}\n`, err: '' })
  })

  it.each(['serve', 'generate', 'bench', 'doctor', 'andthen'])('%s --help', async name => {
    const { status, out, err } = await program(name, ['--help'])
    expect({ status, err }).toEqual({ status: 0, err: '' })
    expect(out).toContain('Usage:')
  })

  it('andthen COMMAND is the same as bin/COMMAND', async () => {
    const ways = [program('serve', ['--help']), program('andthen', ['serve', '--help'])]
    const [one, ...others] = await Promise.all([...ways, program('andthen', ['help', 'serve'])])
    expect(others).toEqual([one, one])
  })
})

describe('doctor', () => {
  it('finds what serving needs on the machine that runs these tests', async () => {
    const { status, out } = await program('doctor', [])
    expect(status, out).toBe(0)
    expect(out).toMatch(/ONNX Runtime\s+\d+\.\d+\.\d+ by its/)
    expect(out).toContain('12 of 12 blocks')
    expect(out).toMatch(/CUDA +(can be used|cannot be used: \S)/)
  })

  it('is not disturbed by a long command line', async () => {
    // ONNX Runtime's telemetry matched it with a regular expression, by recursion, and overflowed the stack.
    const { status, out } = await program('doctor', ['--model', `${'./'.repeat(60_000)}models/tiny-shakespeare`])
    expect(status, out).toBe(0)
  })

  it('says which model it cannot read, and which variable is of no flag', async () => {
    const { status, out, err } = await program('doctor', ['--model', 'src'], { ANDTHEN_MAX_SESSION: '3' })
    expect(status).toBe(1)
    expect(out).toMatch(/MISSING +model .*src/)
    expect(err).toContain('ANDTHEN_MAX_SESSION')
  })
})
