import { describe, expect, test } from 'vitest'
import { atLeast, atMost, formatCriterion } from '../../src/bench/criteria.ts'

describe('a promise', () => {
  test.each([
    { name: 'at most, by the upper end', criterion: atMost('x', 1.05, 1.04, [1.03, 1.06]), ok: false },
    { name: 'at most, the limit included', criterion: atMost('x', 1.05, 1.04, [1.03, 1.05]), ok: true },
    { name: 'at most, without an interval', criterion: atMost('x', 1.05, 1.04), ok: true },
    { name: 'at least, by the lower end', criterion: atLeast('x', 0.99, 0.995, [0.98, 1]), ok: false },
    { name: 'at least, without an interval', criterion: atLeast('x', 0.99, 0.99), ok: true },
    { name: 'not measured', criterion: atMost('x', 1, null), ok: false }
  ])('is judged $name', ({ criterion, ok }) => {
    expect(criterion.ok).toBe(ok)
  })

  test('says what it was, and what it should be', () => {
    expect(formatCriterion(atMost('hop, ms', 0.6, 0.51234, [0.4, 0.5555]))).toBe(
      'ok    hop, ms: 0.5123 (0.4..0.5555), at most 0.6'
    )
    expect(formatCriterion(atLeast('pushes', 0.99, null))).toBe('MISS  pushes: not measured, at least 0.99')
  })
})
