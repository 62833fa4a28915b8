import { NotAvailableError, UsageError } from '../base/index.ts'
import { choice, parseRoute, parseVerify } from './choices.ts'
import { defineCommand } from './command.ts'
import { list, toggle, value } from './flags.ts'
import { parseMultiaddr } from './multiaddr.ts'
import { parseBandwidth, parseCount, parseDuration, parseNumber } from './quantities.ts'

const parseName = choice('bench', [], ['span', 'chain', 'routes', 'load', 'gpu'])

const flags = {
  peers: list('MULTIADDR', 'measure these running servers', parseMultiaddr, 'servers of its own'),
  servers: value('K', 'servers to start', parseCount(1), '3'),
  link: value('KIND', 'relay, tun or none', choice('link', ['relay', 'tun', 'none']), 'none'),
  delay: value('DURATION', 'one-way delay of each link', parseDuration, '25ms'),
  jitter: value('DURATION', 'how much the delay varies', parseDuration, '0ms'),
  bandwidth: value('RATE', 'of each link, such as 100Mbit', parseBandwidth, 'not limited'),
  routes: list('ROUTE', 'routes to compare', parseRoute),
  verify: list('HOW', 'verify policies to compare', parseVerify),
  promptTokens: value('N', 'tokens of the prompt', parseCount(1), '32'),
  tokens: value('N', 'tokens to generate in each run', parseCount(1), '128'),
  runs: value('N', 'measured runs of each variant', parseCount(1), '10'),
  warmup: value('N', 'runs before, not counted', parseCount(0), '1'),
  concurrency: value('N', 'clients at a time, each waiting for its answer', parseCount(1)),
  requestRate: value(
    'R',
    'requests a second that arrive at random, whether or not others are done',
    parseNumber('above 0', number => number > 0)
  ),
  seed: value('S', 'order of the variants, arrivals and links', parseCount(0), '1'),
  json: toggle('one JSON object on stdout in place of the table'),
  out: value('DIR', 'where raw samples and plots go', text => text)
}

export const benchCommand = defineCommand({
  name: 'bench',
  summary: 'measure spans, chains, routes and load',
  flags,
  argument: 'NAME',
  options(given, name = '') {
    if (given.concurrency !== undefined && given.requestRate !== undefined) {
      throw new UsageError('give one of --concurrency (closed load) and --request-rate (open load)')
    }
    return { name: parseName(name) }
  },
  run: ({ name }) => Promise.reject(new NotAvailableError(`bench ${name}`))
})
