import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../../src/base/index.ts'
import { StopStrings } from '../../src/client/stop-strings.ts'

/** All that is shown when the text comes in these pieces. */
function shown(stops: readonly string[], pieces: readonly string[]): string {
  const watch = new StopStrings(stops)
  return pieces.map(piece => watch.push(piece).emit).join('') + watch.flush()
}

describe('stop strings', () => {
  it.each([
    { name: 'none: everything passes', stops: [], pieces: ['a', 'b'], text: 'ab' },
    { name: 'within a piece', stops: ['\n\n'], pieces: ['one\n\ntwo'], text: 'one' },
    { name: 'across pieces', stops: ['STOP'], pieces: ['go S', 'TO', 'P on'], text: 'go ' },
    { name: 'begun and broken off', stops: ['STOP'], pieces: ['ST', 'ART'], text: 'START' },
    { name: 'begun when the text ends', stops: ['STOP'], pieces: ['go ST'], text: 'go ST' },
    { name: 'overlapping itself', stops: ['aab'], pieces: ['a', 'a', 'a', 'b'], text: 'a' },
    { name: 'the one that ends first wins', stops: ['abcd', 'bc'], pieces: ['abcd'], text: 'a' },
    { name: 'of two that end together, the longer', stops: ['bc', 'abc'], pieces: ['xabc'], text: 'x' },
    { name: 'nothing after it', stops: ['.'], pieces: ['a.', 'b.'], text: 'a' },
    { name: 'outside the basic plane', stops: ['🛑'], pieces: ['go 🚦', '🛑 no'], text: 'go 🚦' }
  ])('$name', ({ stops, pieces, text }) => {
    expect(shown(stops, pieces)).toBe(text)
  })

  it('holds back what may begin a stop string, and says when it has come', () => {
    const watch = new StopStrings(['\nUser:'])
    expect(watch.push('Hello\nUs')).toEqual({ emit: 'Hello', stopped: false })
    expect(watch.push('er:')).toEqual({ emit: '', stopped: true })
    expect(watch.push('more')).toEqual({ emit: '', stopped: true })
    expect(watch.flush()).toBe('')
  })

  it('refuses an empty one', () => {
    expect(() => new StopStrings(['a', ''])).toThrow(UsageError)
  })

  const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 24 })
  const stops = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 }), {
    maxLength: 4
  })
  const cuts = fc.array(fc.nat(24), { maxLength: 8 })

  it('shows the same however the text is cut, and never a stop string', () => {
    fc.assert(
      fc.property(letters, stops, cuts, (text, stops, cuts) => {
        const edges = [0, ...cuts.map(cut => Math.min(cut, text.length)).toSorted((a, b) => a - b), text.length]
        const pieces = edges.slice(1).map((edge, i) => text.slice(edges[i], edge))
        const result = shown(stops, pieces)
        expect(result).toBe(shown(stops, [...text]))
        expect(text.startsWith(result)).toBe(true)
        expect(stops.filter(stop => result.includes(stop))).toEqual([])
        if (!stops.some(stop => text.includes(stop))) expect(result).toBe(text)
      })
    )
  })

  it('never holds back more than it must', () => {
    fc.assert(
      fc.property(letters, stops, (text, stops) => {
        const watch = new StopStrings(stops)
        const { emit, stopped } = watch.push(text)
        const held = text.slice(emit.length)
        if (!stopped && held !== '') expect(stops.some(stop => stop.startsWith(held))).toBe(true)
      })
    )
  })
})
