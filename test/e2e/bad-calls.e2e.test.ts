import { mkdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { once } from 'node:events'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { ServerProcess } from '../../src/bench/index.ts'
import { program } from '../cli/program.ts'
import { temporaryFolder } from '../model/temporary-folder.ts'
import { allReferences, goldens } from './model.ts'
import { saysInOneLine } from './says.ts'
import { addressesOf, generating, serveSpans, stopAll } from './swarm.ts'

// What cannot work is told in one line: what was wrong, with the value, and what to do.

const loopback = ['--listen', '/ip4/127.0.0.1/tcp/0']

/** A port of this machine that somebody listens on. */
async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return (server.address() as { port: number }).port
}

describe('generate', () => {
  let [first, middle, last]: ServerProcess[] = []
  beforeAll(async () => {
    ;[first, middle, last] = await serveSpans(['0-4', '4-8', '8-12'], ['--max-length', '64'])
  })
  afterAll(() => stopAll([first!, middle!, last!]))

  it.each([
    { name: 'the middle', without: 1, missing: '4-8' },
    { name: 'the beginning', without: 0, missing: '0-4' },
    { name: 'the end', without: 2, missing: '8-12' }
  ])('blocks that nobody serves: $name', async ({ without, missing }) => {
    const servers = [first!, middle!, last!].filter((_, i) => i !== without)
    const ended = await generating(servers, ['--prompt', 'a', '--json'])
    saysInOneLine(ended, 1, [`blocks ${missing}`, `node bin/serve --blocks ${missing}`])
    expect(JSON.parse(ended.out)).toMatchObject({
      error: { code: 'BLOCKS_NOT_COVERED', retryable: true, details: { missing: [missing] } },
      partial: { text: '', tokenIds: [] }
    })
  })

  it('a prompt that is too long', async () => {
    const ids = Array.from({ length: 60 }, () => '17').join()
    const ended = await generating([first!, middle!, last!], ['--prompt-ids', ids, '--max-new-tokens', '5', '--json'])
    saysInOneLine(ended, 1, ['60 tokens', '64', '--max-length'])
    expect(JSON.parse(ended.out)).toMatchObject({ error: { code: 'LENGTH_EXCEEDED' } })
  })

  it('a prompt that just fits', async () => {
    const { prompt_ids, greedy_ids } = goldens[0]!
    const ids = [...prompt_ids, ...greedy_ids].slice(0, 60)
    const asked = ['--prompt-ids', ids.join(), '--max-new-tokens', '4', '--json']
    const { status, out } = await generating([first!, middle!, last!], asked)
    expect(status).toBe(0)
    expect(JSON.parse(out)).toMatchObject({
      tokenIds: greedy_ids.slice(60 - prompt_ids.length, 64 - prompt_ids.length)
    })
  })

  it('ids that the vocabulary does not have, before anybody is dialled', async () => {
    const peers = `/ip4/127.0.0.1/tcp/9/p2p/${first!.ready.peerId}`
    const ended = await program('generate', ['--peers', peers, '--prompt-ids', '5,1024', '--max-new-tokens', '1'])
    saysInOneLine(ended, 2, ['token id 1024', '0 to 1023'])
  })

  it('servers of another model', async () => {
    const { folder } = allReferences[0]!
    const ended = await generating([first!, middle!, last!], ['--model', folder, '--prompt-ids', '1', '--json'])
    saysInOneLine(ended, 1, ['another model', 'tiny-shakespeare', '--model'])
    expect(JSON.parse(ended.out)).toMatchObject({ error: { code: 'MODEL_MISMATCH' } })
  })

  it('a model without a tokenizer, and a text', async () => {
    const ended = await generating([first!], ['--model', allReferences[0]!.folder, '--prompt', 'a'])
    saysInOneLine(ended, 2, ['no tokenizer', '--prompt-ids'])
  })

  it('nobody at the address', async () => {
    const peerId = first!.ready.peerId
    const peers = `/ip4/127.0.0.1/tcp/9/p2p/${peerId}`
    saysInOneLine(await program('generate', ['--peers', peers, '--prompt', 'a']), 1, ['/ip4/127.0.0.1/tcp/9', peerId])
  })

  it('somebody else at the address', async () => {
    const [address = ''] = addressesOf([first!])
    const peers = address.replace(first!.ready.peerId, middle!.ready.peerId)
    saysInOneLine(await program('generate', ['--peers', peers, '--prompt', 'a']), 1, [middle!.ready.peerId])
  })

  it('somebody at the address who does not answer', async () => {
    const peers = `/ip4/127.0.0.1/tcp/${await takenPort()}/p2p/${first!.ready.peerId}`
    const ended = await program('generate', ['--peers', peers, '--prompt', 'a', '--connect-timeout', '500ms'])
    saysInOneLine(ended, 1, ['no answer'])
  })

  it.each([
    { name: 'an unknown flag', args: ['--temprature', '1'], says: '--temprature' },
    { name: 'a negative temperature', args: ['--temperature', '-1'], says: '-1' },
    { name: 'an unknown route', args: ['--route', 'teleport'], says: 'teleport' },
    { name: 'an unknown policy', args: ['--verify', 'hope'], says: 'hope' },
    { name: 'no number of tokens', args: ['--max-new-tokens', 'many'], says: 'many' },
    { name: 'two prompts', args: ['--prompt-ids', '1'], says: '--prompt-ids' }
  ])('$name', async ({ args, says }) => {
    saysInOneLine(await generating([first!], ['--prompt', 'a', ...args]), 2, [says])
  })
})

describe('serve', () => {
  it('takes the next port where one is taken, and says so once', async () => {
    const port = await takenPort()
    const server = await ServerProcess.start({
      arguments: [
        'bin/serve',
        '--log-format',
        'json',
        '--blocks',
        '0-1',
        '--listen',
        `/ip4/127.0.0.1/tcp/${port}`,
        '--data-dir',
        await temporaryFolder()
      ]
    })
    onTestFinished(() => server.stop())
    const chosen = Number(/\/tcp\/(\d+)\//.exec(server.ready.addresses[0]!)?.[1])
    expect(chosen).toBeGreaterThan(port)
    expect(server.stderr.split('\n').filter(line => line.includes('port taken'))).toEqual([
      expect.stringContaining(`/tcp/${chosen}`)
    ])
  })

  it('an admin port that is taken', async () => {
    const port = await takenPort()
    const ended = await program('serve', ['--blocks', '0-1', '--admin', `127.0.0.1:${port}`, ...loopback])
    saysInOneLine(ended, 1, [`127.0.0.1:${port}`])
  })

  it.each([
    { name: 'is no key', make: (path: string) => writeFile(path, 'not a key', { mode: 0o600 }) },
    { name: 'is a folder', make: (path: string) => mkdir(path) },
    { name: 'is cut short', make: (path: string) => writeFile(path, Buffer.of(8, 1, 18, 64, 1, 2), { mode: 0o600 }) }
  ])('an identity that $name', async ({ make }) => {
    const path = join(await temporaryFolder(), 'identity.key')
    await make(path)
    const ended = await program('serve', ['--blocks', '0-1', '--identity', path, ...loopback])
    saysInOneLine(ended, 1, [path])
  })

  it('an admin token file that is not there', async () => {
    const path = join(await temporaryFolder(), 'token')
    saysInOneLine(await program('serve', ['--blocks', '0-1', '--admin-token-file', path, ...loopback]), 2, [path])
  })
})
