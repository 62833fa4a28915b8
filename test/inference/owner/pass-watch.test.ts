import { describe, expect, test } from 'vitest'
import { PassWatch } from '../../../src/inference/owner/pass-watch.ts'

const waiting = { overtaken: false, pingMs: 10 }
const watch = (usualMs?: number): PassWatch => {
  const made = new PassWatch({ stepTimeoutMs: 30_000 })
  made.progress(5000)
  if (usualMs !== undefined) made.passed(usualMs)
  return made
}

describe('a chain that is quiet', () => {
  test.each([
    ['a second is long enough where passes are short', 5, 999, 1000],
    ['nothing is known of how long a pass takes', undefined, 999, 1000],
    ['eight times the usual where passes are long', 500, 3999, 4000]
  ])('makes its server suspect: %s', (_, usual, fine, suspect) => {
    const made = watch(usual)
    expect(made.check(5000 + fine, waiting)).toBe('fine')
    expect(made.check(5000 + suspect, waiting)).toBe('suspect')
    expect(made.deadline).toBe(5000 + suspect)
  })

  test('has as much time again when the suspect answers, up to the hard limit', () => {
    const made = watch()
    made.asked(6000)
    expect(made.check(6999, waiting)).toBe('fine')
    expect(made.check(7000, waiting)).toBe('suspect')
    made.asked(34_500)
    expect(made.deadline).toBe(35_000)
    expect(made.check(35_000, waiting)).toBe('failed')
  })

  test('starts anew with every sign of life', () => {
    const made = watch()
    made.progress(5900)
    expect(made.check(6500, waiting)).toBe('fine')
  })

  test.each([
    [10, 1000],
    [400, 1600]
  ])(
    'whose last server has answered does not wait for a header longer than 4 round trips of %i ms',
    (pingMs, limit) => {
      const made = watch(10_000)
      expect(made.check(5000 + limit - 1, { overtaken: true, pingMs })).toBe('fine')
      expect(made.check(5000 + limit, { overtaken: true, pingMs })).toBe('failed')
    }
  )
})
