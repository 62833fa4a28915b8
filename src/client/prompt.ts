import { UsageError } from '../base/index.ts'
import type { ChatMessage, Model } from '../model/index.ts'

/** What to go on from: exactly one of these. */
export interface Prompt {
  readonly prompt?: string | undefined
  /** Drives a model without tokenizer. */
  readonly promptIds?: readonly number[] | undefined
  readonly messages?: readonly ChatMessage[] | undefined
}

/**
 * The prompt's token ids.
 *
 * @throws UsageError where none come of it, or one that the model does not have; ModelFileError without a chat template
 */
export async function promptIdsOf(model: Model, prompt: Prompt): Promise<readonly number[]> {
  const ids = await idsOf(model, prompt)
  if (ids.length === 0) throw new UsageError('the prompt is empty: give at least one token')
  const { vocabSize } = model.spec
  const foreign = ids.find(id => !Number.isInteger(id) || id < 0 || id >= vocabSize)
  if (foreign === undefined) return ids
  throw new UsageError(
    `token id ${foreign} of the prompt is not in the vocabulary of model "${model.name}": its ids are 0 to ${vocabSize - 1}`,
    { details: { tokenId: foreign, vocabSize } }
  )
}

async function idsOf(model: Model, { prompt, promptIds, messages }: Prompt): Promise<readonly number[]> {
  const given = [prompt, promptIds, messages].filter(value => value !== undefined)
  if (given.length !== 1) throw new UsageError('give exactly one of a prompt, prompt ids and chat messages')
  if (promptIds !== undefined) return promptIds
  const tokenizer = await model.tokenizer()
  if (tokenizer === null)
    throw new UsageError(`model "${model.name}" has no tokenizer: give its prompt as token ids (--prompt-ids)`)
  if (messages === undefined) return tokenizer.encode(prompt ?? '')
  return tokenizer.encode(tokenizer.applyChatTemplate(messages), { addSpecialTokens: false })
}
