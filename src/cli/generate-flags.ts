import { choice, defaultRoute, parseRoute, parseVerify } from './choices.ts'
import { list, texts, toggle, value } from './flags.ts'
import { parseModel } from './model-folder.ts'
import { parseMultiaddr } from './multiaddr.ts'
import { proofFlags } from './proof-files.ts'
import { parseCount, parseDuration, parseNumber, parseTimeout } from './quantities.ts'
import { swarmFlags } from './swarm-flags.ts'

const parsePriority = parseNumber(
  'that is whole, such as -1, and within 31 bits',
  number => Number.isInteger(number) && Math.abs(number) < 2 ** 31
)
const notNegative = parseNumber('of at least 0', number => number >= 0)

export const defaultTimeouts = { connectMs: 10_000, stepMs: 30_000, waitMs: 30_000 }
export const defaultNewTokens = 128

/** What `npm start` takes too. */
export const generationFlags = {
  prompt: value('TEXT|-', 'the text to continue; - reads it from stdin', text => text),
  maxNewTokens: value('N', 'tokens to generate at most', parseCount(1), String(defaultNewTokens)),
  temperature: value('T', '0 takes the likeliest token; higher is more varied', notNegative, '0'),
  route: value('ROUTE', 'relay, push or delegate', parseRoute, defaultRoute)
}

export const generateFlags = {
  peers: list('MULTIADDR', 'servers, in any order; what is not needed is spare', parseMultiaddr),
  ...generationFlags,
  model: value('DIR', "the model's folder", parseModel, 'the shipped tiny-shakespeare'),
  promptIds: list('ID', 'token ids to continue, in place of a text', parseCount(0)),
  chat: toggle("put the prompt into the model's chat template, as the user's message"),
  topP: value(
    'P',
    'keep the likeliest tokens that reach this probability',
    parseNumber('from 0 to 1', number => number >= 0 && number <= 1),
    '1'
  ),
  topK: value('K', 'keep the K likeliest tokens; 0 keeps all', parseCount(0), '0'),
  repetitionPenalty: value(
    'X',
    'above 1, makes tokens that were said less likely',
    parseNumber('above 0', number => number > 0),
    '1'
  ),
  seed: value('S', 'makes sampling repeatable', parseCount(0), 'drawn at random'),
  sampling: value(
    'SOURCE',
    "settings, or model: the defaults of the model's generation_config.json",
    choice(['settings', 'model']),
    'settings'
  ),
  stop: texts('TEXT', 'end before this text; commas are part of it'),
  verify: value('HOW', 'copy, digest, auto or none', parseVerify, 'auto'),
  priority: value(
    'N',
    'below 0 gives way to others; above 0 counts on servers that know their clients',
    parsePriority,
    '0'
  ),
  connectTimeout: value(
    'DURATION',
    'before it begins, for the peers to say what they serve; who may only be busy is asked again',
    parseTimeout,
    '10s'
  ),
  stepTimeout: value('DURATION', 'for one pass through the chain', parseTimeout, '30s'),
  wait: value(
    'DURATION',
    'once it runs, for a server that was lost and whose place no other can take',
    parseDuration,
    '30s'
  ),
  ...swarmFlags,
  ...proofFlags,
  json: toggle('one JSON object on stdout, with timings, in place of the text'),
  explain: toggle('say on stderr where the time of a step went'),
  trace: value('FILE', 'write raw timestamps, a line a step and server', text => text),
  dryRun: toggle('say what each route would take, and generate nothing')
}
