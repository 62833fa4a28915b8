import { UsageError } from '../base/index.ts'

const millisecond = 1
const second = 1000 * millisecond
const minute = 60 * second
const hour = 60 * minute
const durations: Readonly<Record<string, number>> = {
  ms: millisecond,
  s: second,
  '': second,
  m: minute,
  h: hour
}

const MiB = 2 ** 20
const sizes: Readonly<Record<string, number>> = { '': 1, mib: MiB, gib: 1024 * MiB }

const bits: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 }

/** What Node's timers can be set to: a longer one would ring at once. */
const longestMs = 24 * 24 * hour

/** `250ms`, `30s`, `5m`, `1h`; a bare number is seconds. Returns milliseconds. */
export function parseDuration(text: string): number {
  const ms = scaled(text, durations, 'a duration: give a number with ms, s, m or h, such as 30s')
  if (ms > longestMs) throw new UsageError(`"${text}" is too long: give 576h (24 days) at most`)
  return ms
}

/** A duration that something may take: with none it would be over before it began. */
export function parseTimeout(text: string): number {
  const ms = parseDuration(text)
  if (ms === 0) throw new UsageError(`"${text}" leaves no time: give more, such as 10s`)
  return ms
}

/** `512MiB`, `4GiB`; a bare number is bytes. Returns bytes. */
export function parseSize(text: string): number {
  const bytes = Math.floor(scaled(text, sizes, 'a size: give a number with MiB or GiB, such as 4GiB'))
  if (!Number.isSafeInteger(bytes)) throw new UsageError(`"${text}" is too large: give 8388607GiB at most`)
  return bytes
}

/** `100Mbit`, a second. Returns bits a second. */
export function parseBandwidth(text: string): number {
  const wanted = 'a rate above 0: give a number with kbit, Mbit or Gbit, such as 100Mbit'
  const perSecond = scaled(text, bits, wanted)
  if (perSecond === 0 || !Number.isFinite(perSecond)) throw new UsageError(`"${text}" is not ${wanted}`)
  return perSecond
}

/** A whole number of at least `least`, and at most `most`. */
export function parseCount(least: number, most = Number.MAX_SAFE_INTEGER): (text: string) => number {
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`
  return text => {
    const count = Number(text)
    if (!/^\d+$/.test(text) || count < least || count > most) {
      throw new UsageError(`"${text}" is not a whole number ${range}`)
    }
    return count
  }
}

/** A number that `holds`; `range` says in words which do. */
export function parseNumber(range: string, holds: (number: number) => boolean): (text: string) => number {
  return text => {
    const number = Number(text)
    if (text.trim() === '' || !Number.isFinite(number) || !holds(number)) {
      throw new UsageError(`"${text}" is not a number ${range}`)
    }
    return number
  }
}

function scaled(text: string, units: Readonly<Record<string, number>>, wanted: string): number {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? []
  const scale = units[unit?.toLowerCase() ?? '-']
  if (number === undefined || scale === undefined) throw new UsageError(`"${text}" is not ${wanted}`)
  return Number(number) * scale
}
