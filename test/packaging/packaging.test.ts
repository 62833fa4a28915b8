import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { generateCommand } from '../../src/cli/generate.ts'
import { serveCommand } from '../../src/cli/serve.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8')
const seconds = (text: string | undefined): number => Number(/^(\d+)s?$/.exec(text ?? '')?.[1])

interface Service {
  readonly build: string
  readonly command: readonly [program: string, ...argv: string[]]
  readonly stop_grace_period?: string
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly depends_on?: Readonly<Record<string, object>>
  readonly volumes?: readonly string[]
}

const compose = parse(read('docker-compose.yml'), { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}
const dockerfile = read('Dockerfile')
const instructions = (name: string): string[] =>
  [...dockerfile.matchAll(new RegExp(`^${name} (.+)$`, 'gm'))].map(([, rest = '']) => rest)
/** The environment that the image sets. */
const image = Object.fromEntries(instructions('ENV').map(text => text.split('=') as [string, string]))

const nodes = Object.entries(compose.services).filter(([, { command }]) => command[0] === 'serve')
const client = Object.values(compose.services).find(({ command }) => command[0] === 'generate')

describe('docker-compose.yml', () => {
  it.each(nodes)('%s is told what serve understands, drains in time, and keeps its identity', (name, service) => {
    const [, ...argv] = service.command
    const { options } = serveCommand.parse(argv, image)
    expect(options).toMatchObject({ listen: ['/ip4/0.0.0.0/tcp/31226'], dataDir: '/data' })
    expect(seconds(service.stop_grace_period) * 1000).toBeGreaterThan(options.drainTimeoutMs ?? Number.NaN)
    expect(service.volumes).toEqual([`${name}:/data`])
    expect(compose.volumes).toHaveProperty(name)
    const { host, port } = options.admin as { host: string; port: number }
    expect(service.healthcheck?.test.join(' ')).toContain(`http://${host}:${port}/readyz`)
  })

  it('its nodes serve the whole model between them, each block once', () => {
    const spans = nodes.map(([, { command }]) => serveCommand.parse(command.slice(1), image).options.blocks)
    const { num_hidden_layers: blocks } = JSON.parse(read('models/tiny-shakespeare/config.json')) as {
      num_hidden_layers: number
    }
    const served = spans.flatMap(span => {
      if (span === undefined || span === 'all') throw new Error('a node serves everything')
      return Array.from({ length: span.to - span.from }, (_, i) => span.from + i)
    })
    expect(served).toEqual(Array.from({ length: blocks }, (_, block) => block))
  })

  it('its client names every node, by the address that it listens on, and waits for all of them', () => {
    const names = nodes.map(([name]) => name)
    const { options } = generateCommand.parse(client?.command.slice(1) ?? [], {})
    expect(options.connect.peers).toEqual(names.map(name => `/dns4/${name}/tcp/31226`))
    expect(Object.keys(client?.depends_on ?? {})).toEqual(names)
  })
})

describe('Dockerfile', () => {
  it("takes the README's steps", () => {
    const readme = read('README.md')
    const [step] = instructions('RUN')[0]?.split(' && ') ?? []
    expect(step).toBe('npm ci')
    expect(readme).toContain(`\`${step}\` has run`)
    const [program = '', ...rest] = JSON.parse(instructions('ENTRYPOINT')[0] ?? '[]') as string[]
    expect([program, ...rest]).toEqual(['node', 'bin/andthen'])
    const [command, ...argv] = JSON.parse(instructions('CMD')[0] ?? '[]') as string[]
    expect(command).toBe('serve')
    expect(serveCommand.parse(argv, image).options).toMatchObject({ blocks: 'all', dataDir: '/data' })
  })

  it('copies what is there, and all that building takes', () => {
    const copied = instructions('COPY').flatMap(line => line.split(' ').slice(0, -1))
    expect(copied.filter(path => !existsSync(`${root}${path}`))).toEqual([])
    for (const needed of ['package.json', 'package-lock.json', 'tsconfig.build.json', 'proto', 'src', 'bin', 'models'])
      expect(copied.map(path => path.replace('./', ''))).toContain(needed)
  })

  it('has a Node that the package runs on, and is not root', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } }
    const least = Number(/>=(\d+)/.exec(engines.node)?.[1])
    expect(Number(/^node:(\d+)/.exec(instructions('FROM')[0] ?? '')?.[1])).toBeGreaterThan(least)
    expect(instructions('USER')).toEqual(['node'])
  })
})

describe('package-lock.json', () => {
  interface Entry {
    readonly engines?: { readonly node?: string }
    readonly resolved?: string
    readonly hasInstallScript?: boolean
  }
  const { packages } = JSON.parse(read('package-lock.json')) as { packages: Record<string, Entry> }
  const entries = Object.entries(packages).filter(([path]) => path !== '')
  const namesWhere = (holds: (entry: Entry) => boolean): string[] =>
    entries.filter(([, entry]) => holds(entry)).map(([path]) => path)

  it('has nothing that asks for a newer Node than the package does', () => {
    const oldest = packages['']?.engines?.node ?? ''
    expect(takes('>=20', oldest)).toBe(true)
    expect(takes('>=20.20', oldest)).toBe(false)
    expect(takes('^22 || ^24 || >=26', oldest)).toBe(false)
    expect(namesWhere(({ engines }) => !takes(engines?.node ?? '*', oldest))).toEqual([])
  })

  // What npm lists as having one it runs: koffi's would compile what comes compiled, onnxruntime-node's would download CUDA.
  it('has nothing to run while installing', () => {
    expect(namesWhere(({ hasInstallScript }) => hasInstallScript === true)).toEqual([])
  })

  it('is of any registry and any platform', () => {
    expect(namesWhere(({ resolved }) => resolved !== undefined)).toEqual([])
    const names = entries.map(([path]) => path)
    for (const platform of ['linux-x64', 'linux-arm64', 'darwin-arm64', 'win32-x64'])
      expect(names).toContain(`node_modules/@koromix/koffi-${platform}`)
  })
})

/** Whether a range such as `^20.19 || >=22` takes the least version that another, such as `>=20.19`, does. */
function takes(range: string, least: string): boolean {
  const numbers = (text: string): number[] => (text.match(/\d+/g) ?? []).slice(0, 3).map(Number)
  const [major = 0, minor = 0] = numbers(least)
  return range.split('||').some(part => {
    const [fromMajor = 0, fromMinor = 0] = numbers(part)
    const openEnded = !/^\s*[\^~\d]/.test(part)
    return (openEnded ? fromMajor < major : false) || (fromMajor === major && fromMinor <= minor)
  })
}

describe('andthen.service', () => {
  const unit = read('packaging/andthen.service')
  const settings = (name: string): string[] =>
    [...unit.matchAll(new RegExp(`^${name}=(.*)$`, 'gm'))].map(([, rest = '']) => rest)
  const environment = Object.fromEntries(
    settings('Environment').map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)])
  )

  it('is told what serve understands', () => {
    expect(settings('ExecStart')).toEqual(['/usr/bin/env andthen serve'])
    const { options, log } = serveCommand.parse([], environment)
    expect(options).toMatchObject({ blocks: 'all', dataDir: `/var/lib/${settings('StateDirectory')[0]}` })
    expect(log.logFormat).toBe('json')
  })

  it('has time to drain, and file descriptors for all connections', () => {
    const { options } = serveCommand.parse([], environment)
    expect(settings('KillSignal')).toEqual(['SIGTERM'])
    expect(seconds(settings('TimeoutStopSec')[0]) * 1000).toBeGreaterThan(options.drainTimeoutMs ?? Number.NaN)
    expect(Number(settings('LimitNOFILE')[0])).toBeGreaterThan(512 + 100)
  })

  it('comes with the package', () => {
    expect((JSON.parse(read('package.json')) as { files: string[] }).files).toContain('packaging')
  })
})
