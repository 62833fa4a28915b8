import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, it } from 'vitest'
import { startServer } from '../../src/cli/server-process.ts'

const args = ['--blocks', '4-8', '--listen', '/ip4/127.0.0.1/tcp/0']
const never = new AbortController().signal

it('serves until it is told to stop', async () => {
  const server = await startServer(args, never)
  try {
    expect(server.info).toMatchObject({
      event: 'ready',
      addresses: [expect.stringMatching(`^/ip4/127.0.0.1/tcp/\\d+/p2p/${server.info.peerId}$`)],
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
      fetch(`${server.info.admin}/${path}`)
    )
    expect((await Promise.all(answers)).map(answer => answer.status)).toEqual([200, 200, 200, 200, 200])
  } finally {
    await server.stop()
  }
  await expect(fetch(`${server.info.admin}/healthz`)).rejects.toThrow()
})

it.each([
  { name: 'blocks beyond the model', change: ['--blocks', '0-13'], says: /0-12/ },
  { name: 'a folder that is no model', change: ['--model', 'src'], says: /config\.json/ },
  { name: 'more than fits', change: ['--memory', '1MiB'], says: /MiB/ }
])('tells its starter of $name', async ({ change, says }) => {
  await expect(startServer([...args, ...change], never)).rejects.toMatchObject({
    code: 'SERVER_ENDED',
    message: expect.stringMatching(says)
  })
})

it.each([
  { name: 'SIGTERM', end: (child: ReturnType<typeof spawnServe>) => child.kill('SIGTERM') },
  { name: 'SIGINT', end: (child: ReturnType<typeof spawnServe>) => child.kill('SIGINT') },
  { name: 'the loss of its starter', end: (child: ReturnType<typeof spawnServe>) => child.disconnect() }
])('drains at $name, with status 0', async ({ end }) => {
  const child = spawnServe()
  const exit = once(child, 'exit')
  for await (const line of createInterface({ input: child.stdout! })) {
    expect(JSON.parse(line)).toMatchObject({ event: 'ready' })
    break
  }
  end(child)
  expect(await exit).toEqual([0, null])
})

function spawnServe() {
  return spawn(process.execPath, ['bin/serve', '--log-format', 'json', ...args], {
    stdio: ['ignore', 'pipe', 'ignore', 'ipc']
  })
}
