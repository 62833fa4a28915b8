import { NotAvailableError, UsageError } from '../base/index.ts'
import type { DeviceWish } from '../runtime/index.ts'

/**
 * One of a fixed set of words; those that this version does not deliver yet are known, and refused as such.
 * @throws UsageError for any other word, NotAvailableError for one of `later`
 */
export function choice<const T extends string>(now: readonly T[], later: readonly string[] = []) {
  return (text: string): T => {
    const found = now.find(word => word === text)
    if (found !== undefined) return found
    if (later.includes(text)) throw new NotAvailableError(text)
    throw new UsageError(`"${text}" is not one of ${now.join(', ')}`)
  }
}

export const parseRoute = choice(['relay', 'push', 'delegate'])
export type Route = ReturnType<typeof parseRoute>
/** What `generate` and `npm start` use when not told. */
export const defaultRoute: Route = 'push'

export const parseVerify = choice(['auto', 'copy', 'digest', 'none'])

export const parseWeights = choice(['auto', 'f32', 'bf16', 'f16'], ['int8', 'int4'])

const parsePlainDevice = choice(['auto', 'cpu', 'cuda'], ['webgpu'])

/** `auto`, `cpu`, `cuda:N`; `cuda` is `cuda:0`. @throws UsageError, NotAvailableError for `webgpu` */
export function parseDevice(text: string): DeviceWish {
  const [, number] = /^cuda:(\d+)$/.exec(text) ?? []
  const device = parsePlainDevice(number === undefined ? text : 'cuda')
  return device === 'cuda' ? `cuda:${Number(number ?? 0)}` : device
}
