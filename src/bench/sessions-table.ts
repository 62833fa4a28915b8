import { formatCriterion } from './criteria.ts'
import type { SessionsReport } from './sessions.ts'
import { alignRows, machineLine, ms } from './table.ts'

const mebibyte = 2 ** 20

/** The figures for people, in the form of the other benchmarks' tables. */
export function formatSessions(report: SessionsReport): string {
  const { batch, delay, abandoned, machine, versions, model, seed } = report
  const { server, bare, serverGain, bareGain, sessions } = batch
  const { before, after } = abandoned
  const batches = [
    ['decoders', 'step of one, ms', `step of ${sessions} together, ms`, 'gain'],
    ['the server', ms(server.one), ms(server.all), serverGain.toFixed(2)],
    ['ONNX Runtime alone', ms(bare.one), ms(bare.all), bareGain.toFixed(2)]
  ]
  const waits = [
    [`a prompt of ${delay.tokens} tokens`, 'mean, ms', 'longest, ms'],
    [`a piece of ${delay.chunkTokens} tokens, alone`, ms(delay.chunkMs.mean), ms(delay.chunkMs.max)],
    ["another session's step waits", ms(delay.waitMs.mean), ms(delay.waitMs.max)]
  ]
  const memory = [
    ['memory, MiB', `after ${abandoned.warmup} sessions`, `after ${abandoned.sessions} more`],
    ['resident', mib(before.resident), mib(after.resident)],
    ["of it JavaScript's heap", mib(before.heap), mib(after.heap)],
    ["and the heap's reserve", mib(before.reserve), mib(after.reserve)],
    ['in use: without the reserve', mib(before.inUse), mib(after.inUse)]
  ]
  return [
    ...alignRows(batches, 1),
    '',
    ...alignRows(waits, 1),
    '',
    ...alignRows(memory, 1),
    '',
    ...report.criteria.map(formatCriterion),
    '',
    `hooks: ${abandoned.started} starts, ${abandoned.evicted} ends, ${abandoned.wrong} that were not due`,
    `model: ${model}, weights f32, wire f32; seed ${seed}`,
    machineLine(machine, versions)
  ].join('\n')
}

function mib(bytes: number): string {
  return (bytes / mebibyte).toFixed(1)
}
