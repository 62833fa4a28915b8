import { choice, parseDevice, parseRoute, parseVerify } from './choices.ts'
import { list, toggle, value } from './flags.ts'
import { parseModel } from './model-folder.ts'
import { parseMultiaddr } from './multiaddr.ts'
import { parseBandwidth, parseCount, parseDuration, parseNumber, parseTimeout } from './quantities.ts'
import { runtimeFlags } from './runtime-flags.ts'

export const benchDefaults = {
  delayMs: 25,
  promptTokens: 32,
  tokens: 128,
  runs: 10,
  warmup: 1,
  requests: 16,
  concurrency: 2,
  floodRate: 5000,
  /** A flood is worst at its beginning: a run must be long beside it. */
  floodTokens: 384,
  seed: 1,
  soakMs: 10 * 60_000
}

/** Processes of this machine. */
const MOST_SERVERS = 64

export const benchFlags = {
  peers: list('MULTIADDR', 'measure these running servers', parseMultiaddr, 'servers of its own'),
  model: value(
    'DIR',
    "the model's folder",
    parseModel,
    'the shipped tiny-shakespeare; chain, sessions: random weights'
  ),
  servers: value('K', 'servers to start', parseCount(1, MOST_SERVERS), '4; load, flood: 3'),
  link: value('KIND', 'relay or none', choice(['relay', 'none'], ['tun']), 'relay for routes, else none'),
  delay: value('DURATION', 'one-way delay of each link', parseDuration, '25ms where links are relayed'),
  jitter: value('DURATION', 'how much the delay varies', parseDuration, '0ms'),
  bandwidth: value('RATE', 'of each link, such as 100Mbit', parseBandwidth, 'not limited'),
  routes: list('ROUTE', 'routes to compare', parseRoute, 'routes: all; else relay, push'),
  verify: list('HOW', 'verify policies to compare', parseVerify, 'routes: auto, none, digest, copy; else auto'),
  promptTokens: value('N', 'tokens of the prompt', parseCount(1), `${benchDefaults.promptTokens}; sessions: 1024`),
  tokens: value(
    'N',
    'tokens to generate in each run',
    parseCount(2),
    `${benchDefaults.tokens}; flood: ${benchDefaults.floodTokens}; sessions: 20`
  ),
  runs: value('N', 'measured runs of each variant', parseCount(1), `${benchDefaults.runs}; span: 60; gpu: 30`),
  warmup: value('N', 'runs before, not counted', parseCount(0), String(benchDefaults.warmup)),
  requests: value(
    'N',
    'requests in each run of a load; sessions that are abandoned',
    parseCount(1),
    `${benchDefaults.requests}; sessions: 10000`
  ),
  concurrency: value(
    'N',
    'clients at a time, each waiting for its answer (closed load); sessions that decode together',
    parseCount(1),
    `${benchDefaults.concurrency}; sessions: 8`
  ),
  requestRate: value(
    'R',
    'requests a second that arrive at random, whether or not others are done (open load); flood: forged pushes a second',
    parseNumber('above 0', number => number > 0),
    `flood: ${benchDefaults.floodRate}`
  ),
  device: value('DEVICE', 'gpu: what is measured; cpu takes a small span', parseDevice, 'cuda'),
  ...runtimeFlags,
  seed: value('S', 'order of the variants, arrivals and links', parseCount(0), String(benchDefaults.seed)),
  duration: value('DURATION', 'of a soak', parseTimeout, '10m'),
  flood: toggle('soak: strangers pour garbage and forged pushes into a server all the while'),
  json: toggle('one JSON object on stdout in place of the table'),
  out: value('DIR', 'where raw samples, the report and its plot go', text => text)
}
