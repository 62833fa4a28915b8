import { silentLogger, systemClock, toAndthenError, UsageError } from '../../base/index.ts'
import { connect, type Connection, type RawTimes } from '../../client/index.ts'
import { openModel, type Model } from '../../model/index.ts'
import { createIdentity, createNetwork, type Network } from '../../network/index.ts'
import { Deserters } from './abandon.ts'
import type {
  ConnectedChain,
  ConnectRequest,
  DecodeRequest,
  DecodersRequest,
  DelayRequest,
  DelayTimes,
  LoadOutcome,
  LoadRequest,
  SpanTimes,
  SpanTimesRequest,
  Trial,
  TrialOutcome,
  TrialRequest
} from './client-calls.ts'
import { Decoders } from './decoders.ts'
import { runLoad } from './load.ts'
import { timeSpan } from './span-times.ts'

interface Chain {
  readonly model: Model
  readonly connection: Connection
}

type Bytes = Pick<Trial, 'bytesUp' | 'bytesDown'>

/** A client of the library whose every time and byte is kept. One network, whatever number of chains. */
export class MeasuredClient {
  readonly #network: Network
  readonly #chains: Chain[] = []
  readonly #decoders: Decoders[] = []
  readonly #deserters = new Map<number, Promise<Deserters>>()

  private constructor(network: Network) {
    this.#network = network
  }

  static async start(): Promise<MeasuredClient> {
    return new MeasuredClient(await createNetwork({ identity: await createIdentity() }))
  }

  async connect({ model: folder, peers, threads }: ConnectRequest): Promise<ConnectedChain> {
    const model = await openModel(folder)
    const connection = await connect({ network: this.#network, model }, { peers, threads })
    this.#chains.push({ model, connection })
    const servers = connection.servers.toSorted((a, b) => a.from - b.from)
    return {
      chain: this.#chains.length - 1,
      servers: servers.map(({ peerId, pingMs }) => ({ peerId, pingMs }))
    }
  }

  /** Nothing else may run meanwhile: bytes are counted for all streams together. */
  async generate(request: TrialRequest): Promise<TrialOutcome> {
    const bytes = this.#countBytes()
    try {
      const { times, timeToFirstTokenMs } = await this.#run(request)
      return trialOf(times, timeToFirstTokenMs, bytes())
    } catch (thrown) {
      const { code, message } = toAndthenError(thrown)
      return { failed: code, message }
    }
  }

  async timeSpans({ chain, past, steps }: SpanTimesRequest): Promise<SpanTimes> {
    const { model, connection } = this.#chain(chain)
    const modelDigest = await model.digest()
    const components = { network: this.#network, clock: systemClock, logger: silentLogger }
    const computeMs: number[][] = []
    for (const server of connection.servers.toSorted((a, b) => a.from - b.from)) {
      const { hiddenSize } = model.spec
      computeMs.push(await timeSpan(components, { server, modelDigest, hiddenSize, past, steps }))
    }
    return { computeMs }
  }

  async load(request: LoadRequest): Promise<LoadOutcome> {
    const bytes = this.#countBytes()
    const none = { bytesUp: 0, bytesDown: 0 }
    const { samples, elapsedMs } = await runLoad(request, systemClock, async () => {
      try {
        const { times, timeToFirstTokenMs } = await this.#run(request)
        return { firstTokenAt: times.emittedMs[0] ?? null, outcome: trialOf(times, timeToFirstTokenMs, none) }
      } catch (thrown) {
        const { code, message } = toAndthenError(thrown)
        return { firstTokenAt: null, outcome: { failed: code, message } }
      }
    })
    return { samples, elapsedMs, ...bytes() }
  }

  async openDecoders({ chain, ...request }: DecodersRequest): Promise<number> {
    const components = { network: this.#network, clock: systemClock, logger: silentLogger }
    this.#decoders.push(await Decoders.open(components, { ...request, ...(await this.#firstServer(chain)) }))
    return this.#decoders.length - 1
  }

  decode({ decoders, sessions, steps }: DecodeRequest): Promise<number> {
    return this.#decodersOf(decoders).decode(sessions, steps)
  }

  delays({ decoders, ...request }: DelayRequest): Promise<DelayTimes> {
    return this.#decodersOf(decoders).delays(request)
  }

  closeDecoders(decoders: number): Promise<void> {
    return this.#decodersOf(decoders).close()
  }

  async abandon({ chain, sessions }: { chain: number; sessions: number }): Promise<void> {
    const known = this.#deserters.get(chain) ?? this.#firstServer(chain).then(init => Deserters.start(init))
    this.#deserters.set(chain, known)
    await (await known).abandon(sessions)
  }

  async #firstServer(chain: number) {
    const { model, connection } = this.#chain(chain)
    const server = connection.servers.find(({ from }) => from === 0)
    if (server === undefined) throw new UsageError('no server has the first block')
    return { server, modelDigest: await model.digest(), hiddenSize: model.spec.hiddenSize }
  }

  #decodersOf(number: number): Decoders {
    const decoders = this.#decoders[number]
    if (decoders === undefined) throw new UsageError(`no decoders have number ${number}: openDecoders returns it`)
    return decoders
  }

  async #run({ chain, route, verify, promptIds, tokens }: TrialRequest) {
    let times: RawTimes = { steps: [], emittedMs: [] }
    const generation = this.#chain(chain).connection.generate({
      promptIds,
      maxNewTokens: tokens,
      route,
      verify,
      onTimes: measured => {
        times = measured
      }
    })
    const { timeToFirstTokenMs } = await generation.result
    return { times, timeToFirstTokenMs }
  }

  #chain(number: number): Chain {
    const chain = this.#chains[number]
    if (chain === undefined) throw new UsageError(`no chain has number ${number}: connect returns it`)
    return chain
  }

  /** Returns what was sent and received since this call. */
  #countBytes(): () => Bytes {
    const { counters } = this.#network
    const { bytesSent, bytesReceived } = counters
    return () => ({ bytesUp: counters.bytesSent - bytesSent, bytesDown: counters.bytesReceived - bytesReceived })
  }
}

function trialOf({ steps, emittedMs }: RawTimes, timeToFirstTokenMs: number | null, bytes: Bytes): Trial {
  // What was pushed behind a delegate's back, only its servers know.
  const known = steps.filter(({ pass }) => pass.delegated !== true)
  const possible = known.flatMap(({ pass }) => pass.hops.filter((_, i) => pass.pushed[i] === true))
  return {
    failed: null,
    stepMs: steps.map(({ stepMs }) => stepMs),
    gapMs: emittedMs.slice(1).map((at, i) => at - (emittedMs[i] ?? at)),
    clientMs: steps.map(({ clientMs }) => clientMs),
    computeMs: steps.map(({ pass }) => {
      let ms = 0
      for (const { output } of pass.hops)
        if (output !== null) ms += (output.stamps.computeEnd - output.stamps.computeStart) / 1e6
      return ms
    }),
    timeToFirstTokenMs,
    pushes: { possible: possible.length, used: possible.filter(({ output }) => output?.usedPush === true).length },
    ...bytes
  }
}
