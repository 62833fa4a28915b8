import { defineCommand } from './command.ts'
import { checkMemory, checkModel, checkNode, checkProcessor, checkRuntime } from './doctor-checks.ts'
import { checkCuda } from './doctor-cuda.ts'
import { present, value } from './flags.ts'
import { defaultModel, parseModel } from './model-folder.ts'
import { parseCount } from './quantities.ts'
import { exitStatus } from './report.ts'
import { onnxruntimeFlag } from './runtime-flags.ts'

const flags = {
  model: value('DIR', 'folder of the model whose blocks should fit', parseModel, 'the shipped tiny-shakespeare'),
  maxLength: value('TOKENS', 'longest session', parseCount(1), "the model's, at most 4096"),
  maxSessions: value('N', 'sessions at a time', parseCount(1), '8'),
  onnxruntime: onnxruntimeFlag
}

/** As wide as most libraries' names, and a space. */
const aboutWidth = 20

const marks = { ok: ['ok', 'bold'], note: ['--', 'dim'], missing: ['MISSING', 'red'] } as const

export const doctorCommand = defineCommand({
  name: 'doctor',
  summary: 'what this machine can do, and what is missing for more',
  flags,
  options: given => ({
    model: given.model ?? defaultModel,
    ...present({ maxLength: given.maxLength, maxSessions: given.maxSessions, onnxruntime: given.onnxruntime })
  }),
  async run(load, { terminal, logger }) {
    const findings = [
      checkNode(process.version),
      checkProcessor(),
      checkMemory(),
      await checkRuntime(load, logger),
      await checkModel({ ...load, device: 'cpu' }),
      ...(await checkCuda(load, logger))
    ]
    for (const { about, state, says } of findings) {
      const [mark, style] = marks[state]
      terminal.out(`${terminal.paint('out', style, mark.padEnd(8))}${about.padEnd(aboutWidth - 1)} ${says}\n`)
    }
    return findings.some(finding => finding.state === 'missing') ? exitStatus.failed : exitStatus.done
  }
})
