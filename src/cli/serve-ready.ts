import { counted } from '../base/index.ts'
import type { ReadyInfo } from '../node/index.ts'

const reachable: Record<ReadyInfo['reachable'], string> = {
  direct: 'directly',
  relay: 'through a relay',
  unknown: 'unknown until somebody comes from outside'
}

/**
 * What a person wants to know of a node that serves, and the line that uses it.
 * @param generate what calls `generate` for this model
 */
export function readyForPeople(info: ReadyInfo, generate: string, strong: (text: string) => string): string {
  const [from, to] = info.blocks
  const whole = from === 0 && to === info.modelBlocks
  const rows: readonly (readonly [string, string])[] = [
    ['model', `${info.model} (${counted(info.modelBlocks, 'block')}, ${info.weights})`],
    ['device', `${info.device}, ${counted(info.threads, 'thread')}: ${info.deviceReason}`],
    ['memory', `${bytes(info.memoryBytes.weights)} weights, ${bytes(info.memoryBytes.kv)} KV cache`],
    ['sessions', `${info.maxSessions} of up to ${counted(info.maxLength, 'token')}`],
    ['reachable', reachable[info.reachable]],
    ['admin', info.admin ?? 'off'],
    ...info.addresses.map((address, i) => [i === 0 ? 'addresses' : '', address] as const)
  ]
  const others = whole ? '' : ',ADDRESSES_OF_THE_OTHER_BLOCKS'
  return [
    strong(`Serving blocks ${from} to ${to - 1} of ${info.modelBlocks}.`),
    ...rows.map(([name, text]) => `  ${name.padEnd(10)} ${text}`),
    '',
    'Generate through it:',
    `  ${generate} --peers ${info.addresses[0] ?? ''}${others} --prompt 'Once upon a time'`,
    '',
    "This node sees the hidden states that pass through it, and clients' text can be inferred from them.",
    ''
  ].join('\n')
}

/** Bytes in the largest unit that leaves at least 1. */
export function bytes(count: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const step = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, count)) / 10)))
  return `${step === 0 ? count : (count / 1024 ** step).toFixed(1)} ${units[step]}`
}
