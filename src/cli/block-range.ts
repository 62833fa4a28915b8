import { NotAvailableError, UsageError } from '../base/index.ts'

/** Blocks `from` (inclusive) to `to` (exclusive), or all that the model has. */
type BlocksFlag = 'all' | { readonly from: number; readonly to: number }

/** `A-B` or `A:B`, half open, or `all`. @throws UsageError, and NotAvailableError for `auto` */
export function parseBlocks(text: string): BlocksFlag {
  if (text === 'all') return 'all'
  if (text === 'auto') throw new NotAvailableError('auto')
  const [, from, to] = /^(\d+)[-:](\d+)$/.exec(text) ?? []
  if (from === undefined || to === undefined || !Number.isSafeInteger(Number(to))) {
    throw new UsageError(`"${text}" is not a range of blocks: write it as 0-4 (blocks 0 to 3), or all`)
  }
  const range = { from: Number(from), to: Number(to) }
  if (range.to <= range.from) {
    const turned = range.to < range.from ? `, or did you mean ${range.to}-${range.from}?` : ''
    throw new UsageError(`"${text}" holds no block: the end is not part of the range and must be larger${turned}`)
  }
  return range
}

/** A range that ends on the last block's index very likely meant to include it. */
export function rangeWarning([from, to]: readonly [from: number, to: number], modelBlocks: number): string | undefined {
  if (to !== modelBlocks - 1) return undefined
  return `--blocks ${from}-${to} ends before block ${to}, the model's last, which is not served: ${from}-${modelBlocks} includes it`
}
