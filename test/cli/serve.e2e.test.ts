import { expect, it } from 'vitest'
import { ServerProcess } from '../../src/bench/index.ts'
import { until } from '../until.ts'
import { heed } from './heed.ts'
import { Program } from './program.ts'

const args = ['--blocks', '4-8', '--listen', '/ip4/127.0.0.1/tcp/0']
const started = (...more: readonly string[]) =>
  ServerProcess.start({ arguments: ['bin/serve', '--log-format', 'json', ...args, ...more] })

it('serves until it is told to stop', async () => {
  const server = await started()
  heed('bin/serve', () => server.stderr)
  try {
    expect(server.ready).toMatchObject({
      event: 'ready',
      addresses: [expect.stringMatching(`^/ip4/127.0.0.1/tcp/\\d+/p2p/${server.ready.peerId}$`)],
      model: 'tiny-shakespeare',
      modelDigest: expect.stringMatching(/^[0-9a-f]{64}$/),
      modelBlocks: 12,
      blocks: [4, 8],
      device: 'cpu',
      weights: 'f32',
      maxLength: 512,
      maxSessions: 8
    })
    const answers = ['healthz', 'readyz', 'info', 'sessions', 'metrics'].map(path =>
      fetch(`${server.ready.admin}/${path}`)
    )
    expect((await Promise.all(answers)).map(answer => answer.status)).toEqual([200, 200, 200, 200, 200])
  } finally {
    await server.stop()
  }
  await expect(fetch(`${server.ready.admin}/healthz`)).rejects.toThrow()
})

it.each([
  { name: 'blocks beyond the model', change: ['--blocks', '0-13'], says: /0-12/ },
  { name: 'a folder that is no model', change: ['--model', 'src'], says: /config\.json/ },
  { name: 'more than fits', change: ['--memory', '1MiB'], says: /MiB/ }
])('tells its starter of $name', async ({ change, says }) => {
  await expect(started(...change)).rejects.toMatchObject({
    code: expect.any(String),
    message: expect.stringMatching(says)
  })
})

it.each(['SIGTERM', 'SIGINT'] as const)('drains at %s, with status 0', async signal => {
  const server = new Program('serve', ['--log-format', 'json', ...args])
  await until(() => server.out.endsWith('\n'))
  expect(JSON.parse(server.out)).toMatchObject({ event: 'ready' })
  server.kill(signal)
  expect((await server.ended).status).toBe(0)
})
