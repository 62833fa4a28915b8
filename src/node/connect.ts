import { type Logger, namingFlag, silentLogger } from '../base/index.ts'
import {
  type Candidate,
  connect as connectClient,
  type GenerateOptions as ClientGenerateOptions,
  type Generation,
  type Prompt,
  promptIdsOf,
  type RouteName,
  type RoutePrediction
} from '../client/index.ts'
import { openModel } from '../model/index.ts'
import { createIdentity, createNetwork, parseDialAddress } from '../network/index.ts'
import type { VerifyPolicyName } from '../wire/index.ts'
import type { SwarmOptions } from './serve-options.ts'
import { swarmInit } from './swarm.ts'
import { Taken } from './taken.ts'

export interface ConnectOptions extends SwarmOptions {
  /** The model's folder: its configuration, tokenizer, embedding and head are used here. */
  readonly model: string
  /**
   * Servers' multiaddrs in any order; those that are not needed are spares. One without a peer id at its end trusts whoever
   * answers there.
   */
  readonly peers: readonly string[]
  /** How hidden states travel, unless a generation says otherwise. @default 'push' */
  readonly route?: RouteName
  /** How pushes are proven, unless a generation says otherwise. @default 'auto' */
  readonly verify?: VerifyPolicyName
  /** What will be generated from: where nothing can come of it, that is said before any server is dialled. @default not looked at */
  readonly prompt?: PromptOptions
  /**
   * To connect; for a step; and for a server that was lost and whose place no other can take, until it is back.
   *
   * @default 10 s to connect, 30 s a step, 30 s to wait
   */
  readonly timeouts?: { readonly connectMs?: number; readonly stepMs?: number; readonly waitMs?: number }
  /** Threads that compute embedding and head. @default one a core */
  readonly threads?: number
  /** @default silent */
  readonly logger?: Logger
  /** Cancels connecting. */
  readonly signal?: AbortSignal
}

export interface GenerateOptions extends ClientGenerateOptions {
  /** `prompt` is what a user says in a chat, and is put into the model's chat template. @default false */
  readonly chat?: boolean
  /** `model` takes what is not given here from the model's generation_config.json. @default 'settings' */
  readonly sampling?: 'settings' | 'model'
}

export type PromptOptions = Pick<GenerateOptions, 'prompt' | 'promptIds' | 'messages' | 'chat'>

/** A model spread over servers, ready to generate. */
export interface Connection {
  /** The servers that were found, spares included. */
  readonly servers: readonly Candidate[]
  /** What each route would take, as the servers' pings tell; sends nothing. */
  predict(): RoutePrediction[]
  generate(options: GenerateOptions): Generation
  /** Cancels what runs and gives back every resource. What is generated afterwards fails with NETWORK_CLOSED. */
  close(): Promise<void>
}

/**
 * Connects to servers that together serve a model.
 *
 * @throws ModelFileError, UsageError, PeerUnreachableError, ModelMismatchError, BlocksNotCoveredError, CancelledError
 */
export async function connect(options: ConnectOptions): Promise<Connection> {
  const { logger = silentLogger, signal, threads, timeouts = {}, peers, route, verify } = options
  namingFlag('--peers', () => peers.forEach(parseDialAddress))
  const swarm = await swarmInit(options)
  const [model, identity] = await Promise.all([openModel(options.model), createIdentity()])
  if (options.prompt !== undefined) await promptIdsOf(model, promptOf(options.prompt))
  const taken = new Taken()
  try {
    const network = await createNetwork({ ...swarm, identity, logger })
    taken.push(() => network.close())
    const client = await connectClient(
      { network, model, logger },
      {
        peers,
        connectTimeoutMs: timeouts.connectMs,
        stepTimeoutMs: timeouts.stepMs,
        waitMs: timeouts.waitMs,
        threads,
        signal
      }
    )
    taken.push(() => client.close())
    const defaults = { route, verify }
    return {
      servers: client.servers,
      predict: () => client.predict(),
      generate({ sampling = 'settings', ...rest }) {
        const base = sampling === 'model' ? model.generation.sampling : {}
        return client.generate({ ...defaults, ...base, ...rest, ...promptOf(rest) })
      },
      close: () => taken.giveBack()
    }
  } catch (error) {
    await taken.giveBack()
    throw error
  }
}

function promptOf({ chat = false, prompt, promptIds, messages }: PromptOptions): Prompt {
  if (!chat || prompt === undefined) return { prompt, promptIds, messages }
  return { promptIds, messages: [{ role: 'user', content: prompt }] }
}
