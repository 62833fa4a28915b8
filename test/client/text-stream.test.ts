import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { TextStream } from '../../src/client/text-stream.ts'
import type { Tokenizer } from '../../src/model/index.ts'

/** A token is a byte: characters beyond ASCII are several tokens. */
const bytes = { decode: (ids: readonly number[]) => Buffer.from(ids).toString('utf8') } as Tokenizer

function all(text: string, stops: string[]): { shown: string; stopped: boolean } {
  const stream = new TextStream(bytes, stops)
  let shown = ''
  for (const id of Buffer.from(text)) {
    const { emit, stopped } = stream.push(id)
    shown += emit
    if (stopped) return { shown: shown + stream.flush(), stopped }
  }
  return { shown: shown + stream.flush(), stopped: false }
}

describe('streamed text', () => {
  test.each([
    ['plain', 'good night', [], 'good night', false],
    ['characters of several tokens', 'naïve 日本', [], 'naïve 日本', false],
    ['up to a stop string', 'ROMEO: no. JULIET: yes', ['JULIET:'], 'ROMEO: no. ', true],
    ['whose end begins a stop string', 'ROMEO: no. JUL', ['JULIET:'], 'ROMEO: no. JUL', false],
    ['a stop string of several tokens a character', 'a日本b', ['日本'], 'a', true]
  ])('%s', (_, text, stops, shown, stopped) => {
    expect(all(text, stops)).toEqual({ shown, stopped })
  })

  test('is the whole text where nothing stops it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), text => {
        expect(all(text, ['\u0000stop']).shown).toBe(text)
      })
    )
  })

  test('without a tokenizer is empty', () => {
    const stream = new TextStream(null, ['x'])
    expect([stream.push(5), stream.flush()]).toEqual([{ emit: '', stopped: false }, ''])
  })
})
