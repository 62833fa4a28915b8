import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { freeze, killHard, thaw } from '../../src/bench/fault.ts'
import { type ServerInit, ServerProcess, startServers } from '../../src/bench/processes.ts'
import { until } from '../network/cluster.ts'
import { runSources } from './run-sources.ts'

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url))
const program = path('../fixtures/bench/server.mjs')
const servers = new Set<ServerProcess>()
afterEach(async () => {
  await Promise.all([...servers].map(server => server.stop()))
  servers.clear()
})

async function start(mode: string, init: Partial<ServerInit> = {}): Promise<ServerProcess> {
  const server = await ServerProcess.start({ arguments: [program, mode], ...init })
  servers.add(server)
  return server
}

/** Ended: a zombie that its parent has not waited for yet is as good as gone. */
function alive(pid: number): boolean {
  return existsSync(`/proc/${pid}`) && !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

describe('a server process', () => {
  test('is started once it says that it serves, whatever else it prints', async () => {
    const server = await start('ready')
    expect(server.ready).toMatchObject({ event: 'ready', blocks: [0, 4], admin: 'http://127.0.0.1:2' })
    // It comes by another pipe.
    await until(() => server.stderr !== '')
    expect(server.stderr).toBe('mode ready\n')
    expect(alive(server.pid)).toBe(true)
  })

  test('stop ends it, and may be called again', async () => {
    const server = await start('ready')
    await server.stop()
    expect(alive(server.pid)).toBe(false)
    await server.stop()
  })

  test('one that will not drain is killed', async () => {
    const server = await start('stubborn', { stopTimeoutMs: 5_000 })
    vi.useFakeTimers({ toFake: ['setTimeout'] })
    onTestFinished(() => void vi.useRealTimers())
    const stopped = server.stop()
    await until(() => server.stderr.includes('not yet'))
    vi.advanceTimersByTime(4_999)
    expect(alive(server.pid)).toBe(true)
    vi.advanceTimersByTime(1)
    await stopped
    expect(alive(server.pid)).toBe(false)
  })

  test('one that ends before it serves is an error with its last words', async () => {
    await expect(start('fails')).rejects.toMatchObject({
      code: 'PROCESS_FAILED',
      message: 'the server ended with status 2 before it was ready: blocks 4-99 are not in the model',
      details: { exitCode: 2, stderr: expect.stringContaining('mode fails') }
    })
  })

  test('one that never serves is given up and ended', async () => {
    await expect(start('silent', { readyTimeoutMs: 300 })).rejects.toMatchObject({ code: 'TIMEOUT' })
  })

  test('when one of several fails, none is left', async () => {
    const inits = ['ready', 'fails', 'ready'].map(mode => ({ arguments: [program, mode] }))
    await expect(startServers(inits)).rejects.toMatchObject({ code: 'PROCESS_FAILED' })
  })

  test('a group starts in the order asked for', async () => {
    const group = await startServers([{ arguments: [program, 'ready'] }, { arguments: [program, 'ready'] }])
    for (const server of group) servers.add(server)
    expect(new Set(group.map(server => server.pid)).size).toBe(2)
  })

  test.skipIf(process.platform !== 'linux')('does not outlive a parent that was killed', async () => {
    const command = [path('../fixtures/bench/parent.mjs'), path('../../src/bench/processes.ts'), program]
    const parent = spawn(process.execPath, command, { env: { ...process.env, NODE_OPTIONS: runSources } })
    const [said] = (await once(parent.stdout, 'data')) as [Buffer]
    const pid = Number(said.toString())
    expect(alive(pid)).toBe(true)
    parent.kill('SIGKILL')
    while (alive(pid)) await new Promise(resolve => setTimeout(resolve, 5))
  })
})

describe.skipIf(process.platform !== 'linux')('faults', () => {
  const state = (pid: number) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]

  test('freeze has stopped it when it returns; thaw lets it go on', async () => {
    const server = await start('ready')
    await freeze(server.pid)
    expect(state(server.pid)).toBe('T')
    thaw(server.pid)
    await server.stop()
    expect(alive(server.pid)).toBe(false)
  })

  test('a frozen one can still be stopped', async () => {
    const server = await start('ready', { stopTimeoutMs: 50 })
    await freeze(server.pid)
    await server.stop()
    expect(alive(server.pid)).toBe(false)
  })

  test('kill -9 leaves no time for anything', async () => {
    const server = await start('stubborn')
    killHard(server.pid)
    await server.stop()
    expect(server.stderr).not.toContain('not yet')
  })

  test.each([0, 1, -1, 1.5, Number.NaN])('%d is no process to signal', pid => {
    expect(() => killHard(pid)).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })

  test('a process that has ended is said to be gone', async () => {
    const server = await start('ready')
    await server.stop()
    expect(() => thaw(server.pid)).toThrow(expect.objectContaining({ code: 'NO_SUCH_PROCESS' }))
    await expect(freeze(server.pid)).rejects.toMatchObject({ code: 'NO_SUCH_PROCESS' })
  })
})
