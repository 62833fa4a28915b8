import { UsageError } from '../base/index.ts'

const millisecond = 1
const second = 1000 * millisecond
const minute = 60 * second
const durations: Readonly<Record<string, number>> = {
  ms: millisecond,
  s: second,
  '': second,
  m: minute,
  h: 60 * minute
}

const MiB = 2 ** 20
const sizes: Readonly<Record<string, number>> = { '': 1, mib: MiB, gib: 1024 * MiB }

const bits: Readonly<Record<string, number>> = { bit: 1, kbit: 1e3, mbit: 1e6, gbit: 1e9 }

/** `250ms`, `30s`, `5m`, `1h`; a bare number is seconds. Returns milliseconds. */
export function parseDuration(text: string): number {
  return scaled(text, durations, 'a duration: give a number with ms, s, m or h, such as 30s')
}

/** `512MiB`, `4GiB`; a bare number is bytes. Returns bytes. */
export function parseSize(text: string): number {
  return Math.floor(scaled(text, sizes, 'a size: give a number with MiB or GiB, such as 4GiB'))
}

/** `100Mbit`, a second. Returns bits a second. */
export function parseBandwidth(text: string): number {
  return scaled(text, bits, 'a rate: give a number with kbit, Mbit or Gbit, such as 100Mbit')
}

/** A whole number of at least `least`. */
export function parseCount(least: number): (text: string) => number {
  return text => {
    const count = Number(text)
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < least) {
      throw new UsageError(`"${text}" is not a whole number of at least ${least}`)
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
