import { copyFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openModel } from '../../../src/model/index.ts'
import { ChatTemplate } from '../../../src/model/tokenizer/chat.ts'
import { loadTokenizer } from '../../../src/model/tokenizer/load.ts'
import { temporaryFolder } from '../temporary-folder.ts'
import { idOf, llamaTokenizer } from './llama-tokenizer.ts'

const shakespeare = join(import.meta.dirname, '../../../models/tiny-shakespeare')
const template =
  '{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}'
const messages = [{ role: 'user', content: 'Speak.' }]

describe('Tokenizer', () => {
  it('gives back the text that it took, whatever it is', async () => {
    const tokenizer = (await (await openModel(shakespeare)).tokenizer())!
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), text => {
        fc.pre(!/<\/?s>/.test(text))
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text)
      })
    )
  })

  it('adds what the post-processor adds, unless told not to', () => {
    const tokenizer = llamaTokenizer()
    expect(tokenizer.encode('s').slice(0, 1)).toEqual([idOf('<s>')])
    expect(tokenizer.encode('s', { addSpecialTokens: false })).toEqual([idOf('▁'), idOf('s')])
  })

  it('takes special tokens in the text as what they are', () => {
    expect(llamaTokenizer().encode('</s>', { addSpecialTokens: false })).toContain(idOf('</s>'))
  })

  it.each([
    ['no ids', []],
    ['ids beyond the vocabulary', [5_000, 6_000]],
    ['special tokens only', [idOf('<s>'), idOf('</s>')]]
  ])('decodes %s to nothing', (_, ids) => {
    expect(llamaTokenizer().decode(ids)).toBe('')
  })

  it('writes a conversation as the template says', () => {
    const tokenizer = llamaTokenizer(new ChatTemplate(template, { bos_token: '<s>' }))
    expect(tokenizer.applyChatTemplate(messages)).toBe('<s>[user] Speak.\n[assistant]')
  })

  it('has no conversation without a template', () => {
    expect(() => llamaTokenizer().applyChatTemplate(messages)).toThrow(
      expect.objectContaining({ code: 'MODEL_TOKENIZER', message: expect.stringMatching(/no chat template/) })
    )
  })

  it.each([
    ['refuses messages', "{{ raise_exception('only users speak') }}", /only users speak/],
    ['cannot be parsed', '{% for %}', /cannot be parsed/]
  ])('says why a template %s', (_, source, message) => {
    expect(() => new ChatTemplate(source, {}).render(messages)).toThrow(
      expect.objectContaining({ code: 'MODEL_TOKENIZER', message: expect.stringMatching(message) })
    )
  })
})

describe('loadTokenizer', () => {
  async function folderWith(files: Record<string, unknown>): Promise<string> {
    const folder = await temporaryFolder()
    await copyFile(join(shakespeare, 'tokenizer.json'), join(folder, 'tokenizer.json'))
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(folder, name), typeof content === 'string' ? content : JSON.stringify(content))
    }
    return folder
  }

  it.each<[string, Record<string, unknown>]>([
    ['in tokenizer_config.json', { 'tokenizer_config.json': { bos_token: '<s>', chat_template: template } }],
    [
      'named among several',
      {
        'tokenizer_config.json': {
          bos_token: { content: '<s>' },
          chat_template: [
            { name: 'tool_use', template: 'tools' },
            { name: 'default', template }
          ]
        }
      }
    ],
    ['in a file of its own', { 'tokenizer_config.json': { bos_token: '<s>' }, 'chat_template.jinja': template }]
  ])('finds the chat template %s', async (_, files) => {
    const tokenizer = await loadTokenizer(await folderWith(files))
    expect(tokenizer?.applyChatTemplate(messages)).toBe('<s>[user] Speak.\n[assistant]')
  })

  it('finds none where there is none', async () => {
    expect(await loadTokenizer(await temporaryFolder())).toBeNull()
  })

  it.each<[string, Record<string, unknown>]>([
    ['is not JSON', { 'tokenizer.json': '{' }],
    ['has no model', { 'tokenizer.json': {} }],
    ['has a model of no known kind', { 'tokenizer.json': { model: { type: 'None' }, added_tokens: [] } }]
  ])('refuses a tokenizer.json that %s', async (_, files) => {
    await expect(loadTokenizer(await folderWith(files))).rejects.toThrow(
      expect.objectContaining({ code: 'MODEL_TOKENIZER' })
    )
  })
})
