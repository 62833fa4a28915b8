import { describe, expect, test } from 'vitest'
import { promptIdsOf } from '../../src/client/prompt.ts'
import type { EncodeOptions, Model, Tokenizer } from '../../src/model/index.ts'

/** A character is its code; 1 begins what is not a chat. */
const tokenizer = {
  encode: (text: string, { addSpecialTokens = true }: EncodeOptions = {}) => [
    ...(addSpecialTokens ? [1] : []),
    ...Array.from(text, character => character.charCodeAt(0))
  ],
  applyChatTemplate: messages => messages.map(({ content }) => `<${content}>`).join('')
} as Pick<Tokenizer, 'encode' | 'applyChatTemplate'> as Tokenizer
const model = (own: Tokenizer | null): Model =>
  ({ name: 'm', spec: { vocabSize: 128 }, tokenizer: () => Promise.resolve(own) }) as unknown as Model

describe('a prompt', () => {
  test.each([
    ['text', { prompt: 'ab' }, [1, 97, 98]],
    ['ids, taken as they are', { promptIds: [7, 8] }, [7, 8]],
    ['messages, whose template has the special tokens', { messages: [{ role: 'user', content: 'a' }] }, [60, 97, 62]]
  ])('of %s', async (_, prompt, ids) => {
    expect(await promptIdsOf(model(tokenizer), prompt)).toEqual(ids)
  })

  test('of ids drives a model without tokenizer', async () => {
    expect(await promptIdsOf(model(null), { promptIds: [7] })).toEqual([7])
  })

  test.each([
    ['nothing', {}, tokenizer, /exactly one/],
    ['two things', { prompt: 'a', promptIds: [1] }, tokenizer, /exactly one/],
    ['no ids', { promptIds: [] }, tokenizer, /empty/],
    ['an id beyond the last', { promptIds: [127, 128] }, null, /token id 128 .* "m": its ids are 0 to 127/],
    ['an id below the first', { promptIds: [-1] }, null, /token id -1 /],
    ['an id that is none', { promptIds: [1.5] }, null, /token id 1.5 /],
    ['text with a token that the model lacks', { prompt: 'é' }, tokenizer, /token id 233 /],
    ['text without a tokenizer', { prompt: 'a' }, null, /"m" has no tokenizer/]
  ])('of %s is refused', async (_, prompt, own, message) => {
    await expect(promptIdsOf(model(own), prompt)).rejects.toMatchObject({
      code: 'USAGE',
      message: expect.stringMatching(message)
    })
  })
})
