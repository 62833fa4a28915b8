import { version } from '../base/index.ts'
import { type Context, defineCommand } from './command.ts'
import {
  checkMemory,
  checkModel,
  checkNode,
  checkProcessor,
  checkRuntime,
  type Finding,
  type ModelLoad
} from './doctor-checks.ts'
import { checkCuda } from './doctor-cuda.ts'
import { present, toggle, value } from './flags.ts'
import { interruptible } from './interrupts.ts'
import { defaultModel, parseModel } from './model-folder.ts'
import { parseCount } from './quantities.ts'
import { exitStatus } from './report.ts'
import { onnxruntimeFlag } from './runtime-flags.ts'
import type { Terminal } from './terminal.ts'

const flags = {
  model: value('DIR', 'folder of the model whose blocks should fit', parseModel, 'the shipped tiny-shakespeare'),
  maxLength: value('TOKENS', 'longest session', parseCount(1), "the model's, at most 4096"),
  maxSessions: value('N', 'sessions at a time', parseCount(1), '8'),
  onnxruntime: onnxruntimeFlag,
  json: toggle('one JSON object on stdout, in place of the lines')
}

/** As wide as most libraries' names, and a space. */
const aboutWidth = 20

const marks = { ok: ['ok', 'bold'], note: ['--', 'dim'], missing: ['MISSING', 'red'] } as const

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary: 'what this machine can do, and what is missing for more',
  flags,
  options: given => ({
    json: given.json ?? false,
    load: {
      model: given.model ?? defaultModel,
      ...present({ maxLength: given.maxLength, maxSessions: given.maxSessions, onnxruntime: given.onnxruntime })
    }
  }),
  async run({ json, load }, context) {
    const { terminal, signal } = context
    const findings = await interruptible('looking at this machine', () => look(load, context), signal)
    const serves = findings.every(finding => finding.state !== 'missing')
    terminal.out(json ? `${JSON.stringify({ version, serves, findings })}\n` : forPeople(findings, terminal))
    return serves ? exitStatus.done : exitStatus.failed
  }
})

async function look(load: ModelLoad, { logger, blame }: Context): Promise<Finding[]> {
  return [
    checkNode(process.version),
    checkProcessor(),
    checkMemory(),
    await checkRuntime(load, logger, blame),
    await checkModel({ ...load, device: 'cpu' }, blame),
    ...(await checkCuda(load, logger, blame))
  ]
}

function forPeople(findings: readonly Finding[], terminal: Pick<Terminal, 'paint'>): string {
  const lines = findings.map(({ about, state, says }) => {
    const [mark, style] = marks[state]
    return `${terminal.paint('out', style, mark.padEnd(8))}${about.padEnd(aboutWidth - 1)} ${says}\n`
  })
  return lines.join('')
}
