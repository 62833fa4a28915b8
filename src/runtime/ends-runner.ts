import type { EmbedGraph, HeadGraph } from '../model/index.ts'
import type { Binding, GraphCall, LoadedGraph, Port } from './binding.ts'
import { RunInputError, RunnerClosedError } from './errors.ts'
import { Turns } from './turns.ts'
import type { EndsRunner, RuntimeInfo } from './types.ts'

/** Token ids that one run of the embedding takes; longer prompts take several. */
const embedTokens = 256

interface Staging {
  readonly ids: BigInt64Array
  readonly embedded: Float32Array
  readonly hidden: Float32Array
  readonly logits: Float32Array
}

export class GraphEnds implements EndsRunner {
  readonly runtime: RuntimeInfo
  readonly hiddenSize: number
  readonly vocabSize: number
  readonly #embed: LoadedGraph
  readonly #head: LoadedGraph
  readonly #staging: Staging
  readonly #embedTurns = new Turns()
  readonly #headTurns = new Turns()
  #closed: Promise<void> | undefined

  private constructor(
    runtime: RuntimeInfo,
    { hiddenSize, vocabSize }: HeadGraph,
    graphs: { embed: LoadedGraph; head: LoadedGraph },
    staging: Staging
  ) {
    this.runtime = runtime
    this.hiddenSize = hiddenSize
    this.vocabSize = vocabSize
    this.#embed = graphs.embed
    this.#head = graphs.head
    this.#staging = staging
  }

  static async load(
    binding: Binding,
    runtime: RuntimeInfo,
    graphs: { readonly embed: EmbedGraph; readonly head: HeadGraph },
    threads: number,
    signal?: AbortSignal
  ): Promise<GraphEnds> {
    const { hiddenSize, vocabSize } = graphs.head
    const floats = (name: string, rows: number, columns: number): Port => {
      return { name, type: 'float32', dimensions: ['tokens', columns], elements: rows * columns }
    }
    const embed = await binding.load(
      {
        graph: graphs.embed,
        threads,
        inputs: [{ name: 'token_ids', type: 'int64', dimensions: ['tokens'], elements: embedTokens }],
        outputs: [floats('hidden', embedTokens, hiddenSize)]
      },
      signal
    )
    try {
      const head = await binding.load(
        {
          graph: graphs.head,
          threads,
          inputs: [floats('hidden', 1, hiddenSize)],
          outputs: [floats('logits', 1, vocabSize)]
        },
        signal
      )
      const staging: Staging = {
        ids: new BigInt64Array(embed.memoryOf('token_ids')),
        embedded: new Float32Array(embed.memoryOf('hidden')),
        hidden: new Float32Array(head.memoryOf('hidden')),
        logits: new Float32Array(head.memoryOf('logits'))
      }
      return new GraphEnds(runtime, graphs.head, { embed, head }, staging)
    } catch (error) {
      await embed.close()
      throw error
    }
  }

  async embed(ids: readonly number[], output: Float32Array): Promise<void> {
    const { hiddenSize, vocabSize } = this
    const foreign = ids.find(id => !Number.isInteger(id) || id < 0 || id >= vocabSize)
    if (foreign !== undefined) {
      throw new RunInputError(`token id ${foreign} is not in the vocabulary of ${vocabSize}`, {
        details: { id: foreign }
      })
    }
    checkSize('output', output, ids.length * hiddenSize)
    await this.#embedTurns.take(async () => {
      for (let start = 0; start < ids.length; start += embedTokens) {
        this.#checkOpen()
        const tokens = Math.min(embedTokens, ids.length - start)
        for (let i = 0; i < tokens; i++) this.#staging.ids[i] = BigInt(ids[start + i] ?? 0)
        await this.#embed.run(oneRow(tokens))
        output.set(this.#staging.embedded.subarray(0, tokens * hiddenSize), start * hiddenSize)
      }
    })
  }

  async logits(hidden: Float32Array, output: Float32Array): Promise<void> {
    checkSize('hidden states', hidden, this.hiddenSize)
    checkSize('output', output, this.vocabSize)
    await this.#headTurns.take(async () => {
      this.#checkOpen()
      this.#staging.hidden.set(hidden)
      await this.#head.run(oneRow(1))
      output.set(this.#staging.logits)
    })
  }

  close(): Promise<void> {
    this.#closed ??= Promise.all([this.#embed.close(), this.#head.close()]).then(() => undefined)
    return this.#closed
  }

  #checkOpen(): void {
    if (this.#closed !== undefined) throw new RunnerClosedError()
  }
}

function oneRow(tokens: number): GraphCall {
  return { first: 0, rows: 1, tokens }
}

function checkSize(what: string, array: Float32Array, expected: number): void {
  if (array.length === expected) return
  throw new RunInputError(`the ${what} holds ${array.length} values: ${expected} are needed`)
}
