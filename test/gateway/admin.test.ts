import { request } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { silentLogger, UsageError } from '../../src/base/index.ts'
import { type Admin, type AdminSources, createAdmin, createMetrics } from '../../src/gateway/index.ts'

const running: Admin[] = []

afterEach(async () => {
  await Promise.all(running.splice(0).map(admin => admin.close()))
})

async function start(sources: Partial<AdminSources> = {}, init: { host?: string; token?: string } = {}) {
  const all: AdminSources = {
    ready: () => true,
    info: () => ({ peerId: 'one' }),
    sessions: () => [],
    deleteSession: async () => false,
    metrics: createMetrics(),
    ...sources
  }
  const admin = await createAdmin({ host: '127.0.0.1', port: 0, logger: silentLogger, ...init }, all)
  running.push(admin)
  return admin
}

interface Answer {
  status: number | undefined
  type: string | undefined
  body: string
}

/** node:http, since fetch does not let a caller choose its Host. */
function ask(admin: Admin, path: string, { method = 'GET', headers = {} } = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(new URL(path, admin.address), { method, headers, agent: false }, answer => {
      let body = ''
      answer.setEncoding('utf8').on('data', text => (body += text))
      answer.on('end', () => resolve({ status: answer.statusCode, type: answer.headers['content-type'], body }))
    })
    asked.on('error', reject).end()
  })
}

const codeOf = (answer: Answer) => JSON.parse(answer.body).error.code

describe('what it tells', () => {
  it.each([
    { path: '/healthz', ready: false, status: 200 },
    { path: '/readyz', ready: true, status: 200 },
    { path: '/readyz', ready: false, status: 503 }
  ])('$path is $status when ready is $ready', async ({ path, ready, status }) => {
    expect((await ask(await start({ ready: () => ready }), path)).status).toBe(status)
  })

  it('gives info as it is at the time of asking', async () => {
    let tokens = 1
    const admin = await start({ info: () => ({ ledger: { tokens } }) })
    expect(JSON.parse((await ask(admin, '/info')).body)).toEqual({ ledger: { tokens: 1 } })
    tokens = 2
    expect(JSON.parse((await ask(admin, '/info')).body)).toEqual({ ledger: { tokens: 2 } })
  })

  it('lists sessions', async () => {
    const admin = await start({ sessions: () => [{ id: 'a', state: 'active' }] })
    expect(JSON.parse((await ask(admin, '/sessions')).body)).toEqual({ sessions: [{ id: 'a', state: 'active' }] })
  })

  it('gives metrics in the Prometheus text format', async () => {
    const metrics = createMetrics()
    metrics.counter({ name: 'tokens_total', help: 'Tokens.' }, () => [{ labels: {}, value: 5 }])
    const answer = await ask(await start({ metrics }), '/metrics')
    expect(answer.type).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(answer.body).toContain('andthen_tokens_total 5')
  })
})

describe('ending sessions', () => {
  it('answers 204 for one that was there and 404 for one that was not', async () => {
    const ended: string[] = []
    const deleteSession = async (id: string) => id === 'known' && ended.push(id) > 0
    const admin = await start({ deleteSession })
    expect(await ask(admin, '/sessions/known', { method: 'DELETE' })).toMatchObject({ status: 204, body: '' })
    const missing = await ask(admin, '/sessions/other', { method: 'DELETE' })
    expect(missing.status).toBe(404)
    expect(codeOf(missing)).toBe('NOT_FOUND')
    expect(ended).toEqual(['known'])
  })
})

describe('who may ask', () => {
  it.each([
    { host: '127.0.0.1', status: 200 },
    { host: 'localhost:80', status: 200 },
    { host: '[::1]:80', status: 200 },
    { host: 'LocalHost', status: 200 },
    { host: 'evil.example', status: 403 },
    { host: '127.0.0.1.evil.example', status: 403 },
    { host: 'localhost.evil.example:80', status: 403 },
    { host: '10.0.0.1', status: 403 },
    { host: ':80', status: 403 }
  ])('a Host of "$host" gets $status', async ({ host, status }) => {
    expect((await ask(await start(), '/info', { headers: { host } })).status).toBe(status)
  })

  it('refuses a foreign Host before it ends a session', async () => {
    let asked = false
    const admin = await start({
      deleteSession: async () => {
        asked = true
        return true
      }
    })
    await ask(admin, '/sessions/a', { method: 'DELETE', headers: { host: 'evil.example' } })
    expect(asked).toBe(false)
  })

  it.each([
    { name: 'none', authorization: undefined, status: 401 },
    { name: 'another', authorization: 'Bearer other', status: 401 },
    { name: 'the right one', authorization: 'Bearer secret', status: 200 }
  ])('with a token wanted, $name gets $status', async ({ authorization, status }) => {
    const admin = await start({}, { token: 'secret' })
    const headers = authorization === undefined ? {} : { authorization }
    for (const path of ['/info', '/metrics', '/healthz']) {
      expect((await ask(admin, path, { headers })).status).toBe(status)
    }
  })

  it('is not opened to others without a token', async () => {
    await expect(start({}, { host: '0.0.0.0' })).rejects.toThrow(UsageError)
  })
})

describe('what goes wrong', () => {
  it('says so for an unknown path', async () => {
    const answer = await ask(await start(), '/nothing')
    expect(answer.status).toBe(404)
    expect(codeOf(answer)).toBe('NOT_FOUND')
  })

  it('says so for a malformed URL', async () => {
    const answer = await ask(await start(), '/sessions/%zz', { method: 'DELETE' })
    expect(answer.status).toBe(400)
    expect(codeOf(answer)).toBe('BAD_REQUEST')
  })

  it('answers 500 when a source fails, without its stack', async () => {
    const info = () => {
      throw new Error('broken')
    }
    const answer = await ask(await start({ info }), '/info')
    expect(answer.status).toBe(500)
    expect(JSON.parse(answer.body).error).toEqual({
      code: 'INTERNAL',
      message: 'broken',
      retryable: false,
      details: {}
    })
  })

  it('tells which address it cannot listen on', async () => {
    const first = await start()
    const port = Number(new URL(first.address).port)
    const again = createAdmin({ host: '127.0.0.1', port, logger: silentLogger }, {} as AdminSources)
    await expect(again).rejects.toMatchObject({
      code: 'ADMIN_ADDRESS',
      message: `--admin: cannot listen on 127.0.0.1:${port}: it is taken: take another, or port 0 for any free one`
    })
  })
})
