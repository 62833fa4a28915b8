import { join } from 'node:path'
import { z } from 'zod'
import { ModelFileError } from '../errors.ts'
import { readJson, readText } from '../json.ts'
import { ChatTemplate, type SpecialTokens } from './chat.ts'
import { Tokenizer } from './tokenizer.ts'

const definitionSchema = z.looseObject({ model: z.looseObject({}) })

const specialToken = z.union([z.string(), z.looseObject({ content: z.string() })]).nullish()

const configSchema = z.looseObject({
  bos_token: specialToken,
  eos_token: specialToken,
  pad_token: specialToken,
  unk_token: specialToken,
  chat_template: z.union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))]).nullish()
})

type Config = z.infer<typeof configSchema>

/**
 * Reads `tokenizer.json`, `tokenizer_config.json` and `chat_template.jinja`; null where the first does not exist.
 *
 * @throws ModelFileError MODEL_TOKENIZER
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer | null> {
  const path = join(folder, 'tokenizer.json')
  const definition = await readJson(path, definitionSchema, undefined, 'MODEL_TOKENIZER')
  if (definition === null) return null
  const configPath = join(folder, 'tokenizer_config.json')
  const config = (await readJson(configPath, configSchema, undefined, 'MODEL_TOKENIZER')) ?? {}
  const template = (await readText(join(folder, 'chat_template.jinja'))) ?? templateOf(config)
  const chat = template === null ? null : new ChatTemplate(template, specialTokens(config))
  try {
    return new Tokenizer({ definition, config, chat })
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new ModelFileError('MODEL_TOKENIZER', `${path} cannot be used: ${why}`, { details: { path }, cause })
  }
}

function templateOf(config: Config): string | null {
  const template = config.chat_template
  if (typeof template === 'string') return template
  return template?.find(({ name }) => name === 'default')?.template ?? null
}

function specialTokens(config: Config): SpecialTokens {
  const found: Partial<Record<keyof SpecialTokens, string>> = {}
  for (const name of ['bos_token', 'eos_token', 'pad_token', 'unk_token'] as const) {
    const token = config[name]
    if (token != null) found[name] = typeof token === 'string' ? token : token.content
  }
  return found
}
