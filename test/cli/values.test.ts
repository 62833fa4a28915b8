import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NotAvailableError, UsageError } from '../../src/base/index.ts'
import { parseBlocks, rangeWarning } from '../../src/cli/block-range.ts'
import { parseDevice, parseRoute, parseWeights } from '../../src/cli/choices.ts'
import { parseAdmin } from '../../src/cli/host-port.ts'
import { parseMultiaddr } from '../../src/cli/multiaddr.ts'
import {
  parseBandwidth,
  parseCount,
  parseDuration,
  parseNumber,
  parseSize,
  parseTimeout
} from '../../src/cli/quantities.ts'

describe('durations, in milliseconds', () => {
  it.each([
    ['250ms', 250],
    ['30s', 30_000],
    ['2', 2000],
    ['0', 0],
    ['1.5m', 90_000],
    ['1h', 3_600_000],
    ['10 s', 10_000]
  ])('%s', (text, expected) => expect(parseDuration(text)).toBe(expected))

  it.each(['', 'soon', '-1s', '1d', '1e3', 's', '1,5s', '577h', '9'.repeat(400)])('refuses "%s"', text => {
    expect(() => parseDuration(text)).toThrow(UsageError)
  })
})

it('a duration that something may take is not 0', () => {
  expect(parseTimeout('1ms')).toBe(1)
  expect(() => parseTimeout('0')).toThrow('"0" leaves no time')
})

describe('sizes, in bytes', () => {
  it.each([
    ['512MiB', 512 * 2 ** 20],
    ['4GiB', 4 * 2 ** 30],
    ['1.5gib', 1.5 * 2 ** 30],
    ['1000', 1000]
  ])('%s', (text, expected) => expect(parseSize(text)).toBe(expected))

  it.each(['4GB', '4G', '', 'MiB', '-1', '8388608GiB', '9'.repeat(400)])('refuses "%s"', text =>
    expect(() => parseSize(text)).toThrow(UsageError)
  )
})

describe('other numbers', () => {
  it('reads rates in bits a second', () => {
    expect(parseBandwidth('100Mbit')).toBe(100e6)
    for (const text of ['100MB', '0', '0kbit', '9'.repeat(400)]) expect(() => parseBandwidth(text)).toThrow(UsageError)
  })

  it.each(['', '1.5', '-1', '0', 'x', '1e3', '99999999999999999999'])('"%s" is no count of at least 1', text => {
    expect(() => parseCount(1)(text)).toThrow(UsageError)
  })

  it('a count may have a bound', () => {
    expect(parseCount(1, 8)('8')).toBe(8)
    expect(() => parseCount(1, 8)('9')).toThrow('"9" is not a whole number from 1 to 8')
  })

  it.each(['', ' ', 'x', 'Infinity', '-1', '2'])('"%s" is no number from 0 to 1', text => {
    expect(() => parseNumber('from 0 to 1', number => number >= 0 && number <= 1)(text)).toThrow('from 0 to 1')
  })
})

describe('block ranges', () => {
  it.each([
    ['0-4', { from: 0, to: 4 }],
    ['4:8', { from: 4, to: 8 }],
    ['11-12', { from: 11, to: 12 }],
    ['all', 'all']
  ])('%s', (text, expected) => expect(parseBlocks(text)).toEqual(expected))

  it.each(['4-2', '4-4', '0..4', '-4', '0-', '1', '', '0-4-8', 'a-b', '0-99999999999999999999'])(
    'refuses "%s"',
    text => {
      expect(() => parseBlocks(text)).toThrow(UsageError)
    }
  )

  it('asks whether a reversed range was meant the other way', () => {
    expect(() => parseBlocks('4-2')).toThrow('did you mean 2-4?')
  })

  it('reserves auto', () => expect(() => parseBlocks('auto')).toThrow(NotAvailableError))

  it('gives back what it was given', () => {
    fc.assert(
      fc.property(fc.nat(1000), fc.integer({ min: 1, max: 1000 }), (from, count) => {
        expect(parseBlocks(`${from}-${from + count}`)).toEqual({ from, to: from + count })
      })
    )
  })

  it.each([
    { to: 11, warns: true },
    { to: 12, warns: false },
    { to: 10, warns: false }
  ])('of 12 blocks, 8-$to warns: $warns', ({ to, warns }) => {
    const warning = rangeWarning([8, to], 12)
    expect(warning !== undefined).toBe(warns)
    if (warns) expect(warning).toContain('8-12')
  })
})

describe('words', () => {
  it('takes what this version delivers', () => {
    expect([parseDevice('auto'), parseDevice('cpu'), parseRoute('relay')]).toEqual(['auto', 'cpu', 'relay'])
    expect(['f32', 'bf16', 'f16'].map(parseWeights)).toEqual(['f32', 'bf16', 'f16'])
  })

  it.each([
    ['cuda', 'cuda:0'],
    ['cuda:0', 'cuda:0'],
    ['cuda:3', 'cuda:3']
  ])('takes %s for the device %s', (text, device) => {
    expect(parseDevice(text)).toBe(device)
  })

  it.each([
    ['webgpu', () => parseDevice('webgpu')],
    ['int8', () => parseWeights('int8')],
    ['int4', () => parseWeights('int4')]
  ])('says that %s is not available', (what, parse) => {
    expect(parse).toThrow(NotAvailableError)
    expect(parse).toThrow(`${what} is not available in this version`)
  })

  it.each(['gpu', 'cuda:', 'cuda:x', 'CPU', ''])('refuses the device "%s"', text => {
    expect(() => parseDevice(text)).toThrow(UsageError)
  })
})

describe('addresses', () => {
  it.each([
    '/ip4/127.0.0.1/tcp/0',
    '/ip6/::/tcp/31226',
    '/dns4/node.example/tcp/443/p2p/12D3KooWGRUfJ8oDKfMLcsTTkDnbcVAzuQeMZFH8WTSECRFVdRCX',
    '/ip4/1.2.3.4/tcp/80/ws'
  ])('takes %s', text => expect(parseMultiaddr(text)).toBe(text))

  it.each([
    'nowhere',
    '',
    '127.0.0.1:80',
    '/',
    '/tcp/80',
    '/ip4/1.2.3.4/tcp/x',
    '/ip4/1.2.3.4/tcp/70000',
    '/ip4/a b/tcp/1'
  ])('refuses "%s"', text => expect(() => parseMultiaddr(text)).toThrow(UsageError))

  it.each([
    ['127.0.0.1:0', { host: '127.0.0.1', port: 0 }],
    ['[::1]:9090', { host: '::1', port: 9090 }],
    ['localhost:80', { host: 'localhost', port: 80 }],
    ['off', 'off']
  ])('the admin server takes %s', (text, expected) => expect(parseAdmin(text)).toEqual(expected))

  it.each(['9090', '::1:9090', '127.0.0.1', '127.0.0.1:x', '127.0.0.1:99999', ':80', ''])('but not "%s"', text => {
    expect(() => parseAdmin(text)).toThrow(UsageError)
  })
})
