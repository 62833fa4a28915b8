import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DetokenizerStream, openModel, type Tokenizer } from '../../../src/model/index.ts'
import { idOf, llamaTokenizer, llamaVocabSize } from './llama-tokenizer.ts'

const shakespeare = join(import.meta.dirname, '../../../models/tiny-shakespeare')

const byteLevel = (await (await openModel(shakespeare)).tokenizer())!

function stream(tokenizer: Tokenizer, ids: readonly number[]): string[] {
  const detokenizer = new DetokenizerStream(tokenizer)
  return [...ids.map(id => detokenizer.push(id)), detokenizer.flush()]
}

describe.each<[string, Tokenizer, number]>([
  ['bytes spelled as characters', byteLevel, 1024],
  ['pieces with bytes for the rest', llamaTokenizer(), llamaVocabSize]
])('DetokenizerStream over a vocabulary of %s', (_, tokenizer, size) => {
  const id = fc.nat(size - 1)

  it('emits in pieces what decode gives at once', () => {
    fc.assert(
      fc.property(fc.array(id, { maxLength: 150 }), ids => {
        expect(stream(tokenizer, ids).join('')).toBe(tokenizer.decode(ids))
      }),
      { numRuns: 500 }
    )
  })

  it('holds back only a character that is not whole', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), text => {
        const ids = tokenizer.encode(text, { addSpecialTokens: false })
        const emitted = stream(tokenizer, ids)
        for (const piece of emitted)
          expect(piece.includes('\ufffd')).toBe(text.includes('\ufffd') && piece.includes('\ufffd'))
        expect(emitted.at(-1)).toBe('')
      })
    )
  })

  it('emits whole characters, with a replacement only for one that never ends', () => {
    const ids = tokenizer.encode('né', { addSpecialTokens: false })
    const euro = tokenizer.encode('€', { addSpecialTokens: false }).slice(-3)
    expect(stream(tokenizer, [...ids, ...euro]).slice(-4)).toEqual(['', '', '€', ''])
    const cut = stream(tokenizer, [...ids, ...euro.slice(0, 2)])
    expect(cut.slice(-3, -1)).toEqual(['', ''])
    expect(cut.at(-1)).toMatch(/^\ufffd+$/)
  })
})

describe('DetokenizerStream', () => {
  it('keeps the space in front of every word but the first', () => {
    const ids = ['▁the', '▁king', 'dom', 's', '.'].map(idOf)
    expect(stream(llamaTokenizer(), ids)).toEqual(['the', ' king', 'dom', 's', '.', ''])
  })

  it('leaves special tokens out', () => {
    expect(stream(llamaTokenizer(), ['<s>', '▁the', '</s>', '▁king'].map(idOf))).toEqual(['', 'the', '', ' king', ''])
  })

  it('decodes a bounded window, however long the text', () => {
    let longest = 0
    const detokenizer = new DetokenizerStream({
      decode(ids) {
        longest = Math.max(longest, ids.length)
        return byteLevel.decode(ids)
      }
    })
    for (let i = 0; i < 2000; i++) detokenizer.push(60 + (i % 900))
    expect(longest).toBeLessThan(20)
  })
})
