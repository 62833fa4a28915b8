import { afterEach, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/base/index.ts'

afterEach(() => vi.restoreAllMocks())

it.each([
  ['as asked for', 1000, 1000],
  ['after 24 days, where Node would ring at once', 2 ** 40, 2 ** 31 - 1]
])('an alarm rings %s', (_, ms, expected) => {
  const set = vi.spyOn(globalThis, 'setTimeout')
  systemClock.after(ms, () => undefined)()
  expect(set).toHaveBeenCalledExactlyOnceWith(expect.any(Function), expected)
})
