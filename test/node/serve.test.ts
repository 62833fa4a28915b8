import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Logger } from '../../src/base/index.ts'
import {
  connect,
  type HookedSession,
  serve,
  type ServeOptions,
  type ServerNode,
  type SessionHooks
} from '../../src/node/index.ts'

const model = 'models/tiny-shakespeare'
const ROMEO = 'ROMEO:\n'

let folder = ''
const open: { close(): Promise<void> }[] = []
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'andthen-'))
})
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close()
  await rm(folder, { recursive: true })
})

async function serving(options: Partial<ServeOptions> = {}): Promise<ServerNode> {
  const node = await serve({
    model,
    listen: ['/ip4/127.0.0.1/tcp/0'],
    admin: 'off',
    threads: 1,
    maxLength: 64,
    maxSessions: 2,
    ...options
  })
  open.push(node)
  return node
}

async function connected(node: ServerNode, more: Partial<Parameters<typeof connect>[0]> = {}) {
  const connection = await connect({ model, peers: node.info.addresses, threads: 1, ...more })
  open.push(connection)
  return connection
}

async function textOf(connection: Awaited<ReturnType<typeof connect>>): Promise<string> {
  return (await connection.generate({ prompt: ROMEO, maxNewTokens: 8 }).result).text ?? ''
}

async function swarmKey(): Promise<string> {
  const file = join(folder, `${randomBytes(4).toString('hex')}.key`)
  await writeFile(file, `/key/swarm/psk/1.0.0/\n/base16/\n${randomBytes(32).toString('hex')}\n`)
  return file
}

/** Writes down warnings. */
function warningTo(told: string[]): Logger {
  const quiet = (): void => undefined
  const warn = (context: object, message: string): void => void told.push(`${JSON.stringify(context)} ${message}`)
  const logger: Logger = { trace: quiet, debug: quiet, info: quiet, warn, error: warn, child: () => logger }
  return logger
}

describe('what a library user is told', () => {
  it('a generation on a connection that is closed fails at once, and says why', async () => {
    const connection = await connected(await serving())
    await connection.close()
    await expect(connection.generate({ prompt: ROMEO, maxNewTokens: 8 }).result).rejects.toMatchObject({
      code: 'NETWORK_CLOSED'
    })
  })

  it('sessions that are longer than the model is made for are cut, with a warning', async () => {
    const told: string[] = []
    const logger = warningTo(told)
    const { info } = await serving({ maxLength: 100_000, logger })
    expect(info.maxLength).toBe(512)
    expect(told.join()).toMatch(/100000.*512/)
    told.length = 0
    await serving({ maxLength: 512, logger })
    expect(told).toEqual([])
  })

  it('servers whose sessions are too short for a generation are left out, with a warning', async () => {
    const [long, short] = [await serving({ maxLength: 64 }), await serving({ maxLength: 16 })]
    const told: string[] = []
    const logger = warningTo(told)
    const peers = [...short.info.addresses, ...long.info.addresses]
    const connection = await connected(long, { peers, logger })
    const { leftOut } = await connection.generate({ prompt: ROMEO, maxNewTokens: 20 }).result
    expect(leftOut).toEqual([{ peerId: short.info.peerId, maxLength: 16 }])
    expect(told.join()).toMatch(short.info.peerId)
    told.length = 0
    const all = await connection.generate({ prompt: ROMEO, maxNewTokens: 4 }).result
    expect([all.leftOut, told]).toEqual([[], []])
  })

  it('a peer that cannot be asked is left out, with a warning that says why', async () => {
    const [half, gone] = [await serving({ blocks: { from: 0, to: 6 } }), await serving()]
    await gone.close()
    const told: string[] = []
    const peers = [...gone.info.addresses, ...half.info.addresses]
    await expect(connected(half, { peers, logger: warningTo(told) })).rejects.toThrow('6-12')
    expect(told).toEqual([expect.stringMatching(`${gone.info.peerId} cannot be reached`)])
  })
})

describe('what makes no sense is told before anything is loaded', () => {
  it.each<[string, Partial<ServeOptions>, string, RegExp]>([
    ['fewer slots than sessions and no parking', { slots: 1 }, 'USAGE', /--slots 1 for 2 sessions/],
    ['more slots than sessions', { slots: 3 }, 'USAGE', /--slots 3/],
    ['a limit of a folder that is not given', { parkSize: 1 }, 'USAGE', /--park-dir/],
    ['a private swarm without a key', { forcePrivate: true }, 'USAGE', /--swarm-key/],
    ['a swarm key that is none', { swarmKey: 'package.json' }, 'USAGE', /--swarm-key: .* is no swarm key/],
    ['an access list of nonsense', { allow: ['10.0.0.0/99'] }, 'USAGE', /10\.0\.0\.0\/99/],
    [
      'hooks that are not there',
      { hooks: '/nowhere/hooks.js' },
      'HOOKS',
      /\/nowhere\/hooks\.js cannot be read: there is none/
    ],
    ['parking memory beyond all memory', { memory: 2 ** 29, parkMemory: 2 ** 29 }, 'MEMORY', /MiB/],
    ['a token file that is not there', { adminTokenFile: '/nowhere/token' }, 'USAGE', /\/nowhere\/token/]
  ])('%s', async (_, options, code, message) => {
    await expect(serving(options)).rejects.toMatchObject({ code, message: expect.stringMatching(message) })
  })
})

it('clients learn who answers at an address without a peer id', async () => {
  const node = await serving()
  const peers = node.info.addresses.map(address => address.replace(/\/p2p\/.*/, ''))
  const connection = await connected(node, { peers })
  expect(connection.servers.map(({ peerId }) => peerId)).toEqual([node.info.peerId])
  const twice = await connected(node, { peers: [...peers, ...node.info.addresses] })
  expect(twice.servers).toHaveLength(1)
  expect(await textOf(twice)).not.toBe('')
})

it('a private swarm lets in those who have its key, and nobody else', async () => {
  const [key, other] = await Promise.all([swarmKey(), swarmKey()])
  const node = await serving({ swarmKey: key, forcePrivate: true })
  const inside = await connected(node, { swarmKey: key, forcePrivate: true })
  expect(await textOf(inside)).not.toBe('')
  for (const swarm of [{}, { swarmKey: other }])
    await expect(connected(node, { ...swarm, timeouts: { connectMs: 2_000 } })).rejects.toMatchObject({
      code: 'PEER_UNREACHABLE'
    })
})

it('a denied address is refused', async () => {
  const node = await serving({ deny: ['127.0.0.0/8'] })
  // It cannot be told from a server that is too busy, which would be asked again for 10 s.
  await expect(connected(node, { timeouts: { connectMs: 500 } })).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
})

it('hooks are told of each session once, from a module and from a function', async () => {
  const file = join(folder, 'hooks.mjs')
  const seen = join(folder, 'seen')
  await writeFile(
    file,
    `import { appendFileSync } from 'node:fs'
     export const onStart = session => appendFileSync(${JSON.stringify(seen)}, 'start ' + session.id + '\\n')
     export const onEvict = (session, reason) => appendFileSync(${JSON.stringify(seen)}, reason + ' ' + session.id + '\\n')`
  )
  const told: string[] = []
  const sessions: HookedSession[] = []
  const hooks: SessionHooks = {
    onStart(session) {
      told.push('start')
      sessions.push(session)
    },
    onEvict(session, reason) {
      told.push(reason)
      sessions.push(session)
    }
  }
  for (const given of [file, hooks]) {
    const node = await serving({ hooks: given })
    await textOf(await connected(node))
    await node.close()
  }
  expect(told).toEqual(['start', 'END'])
  const [session] = sessions
  // One object, so that a hook may keep what it has of a session by it; and nothing in it that a hook could break.
  expect(sessions[1]).toBe(session)
  expect(session).toStrictEqual({
    id: expect.stringMatching(/^[0-9a-f]{32}$/),
    owner: expect.stringMatching(/^12D3KooW/),
    maxLength: expect.any(Number),
    priority: 0
  })
  expect(Object.isFrozen(session)).toBe(true)
  const lines = (await readFile(seen, 'utf8')).trim().split('\n')
  const [id] = lines[0]?.split(' ').slice(1) ?? []
  expect(lines).toEqual([`start ${id}`, `END ${id}`])
})
