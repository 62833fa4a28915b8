import { describe, expect, test } from 'vitest'
import { Lateness } from '../../../src/inference/race/lateness.ts'

describe('how long a verified push is waited for', () => {
  test('a little where pushes use to be there already', () => {
    const lateness = new Lateness()
    expect(lateness.patienceMs).toBe(50)
    for (let i = 0; i < 100; i++) lateness.add(2)
    expect(lateness.patienceMs).toBe(50)
  })

  test('four times their usual lateness', () => {
    const lateness = new Lateness()
    for (let i = 0; i < 100; i++) lateness.add(100)
    expect(lateness.patienceMs).toBeCloseTo(400)
    for (let i = 0; i < 100; i++) lateness.add(0)
    expect(lateness.patienceMs).toBe(50)
  })

  test('a second at most: whoever comes ever later gains no more', () => {
    const lateness = new Lateness()
    for (let i = 0; i < 100; i++) lateness.add(lateness.patienceMs + 20)
    expect(lateness.patienceMs).toBe(1000)
  })
})
