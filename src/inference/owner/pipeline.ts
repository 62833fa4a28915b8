import type { AndthenError, Clock } from '../../base/index.ts'
import { type Digester, type Output, type VerifyPolicyName, Want } from '../../wire/index.ts'
import { ServerFaultError } from './errors.ts'
import { KeptInputs } from './kept-inputs.ts'
import type { Fault, PassEffect, PassInput } from './pass-types.ts'
import { Passes } from './passes.ts'
import type { SpanSession } from './span-session.ts'
import type { PassTrace } from './trace.ts'

/** A server of a chain, as far as its passes go. */
export interface ChainPeer {
  readonly peerId: string
  /** Where it is reached: multiaddrs that end in its peer id. */
  readonly target: readonly string[]
  /** Blocks `from` to `to - 1`. */
  readonly from: number
  readonly to: number
  /** Least round trip seen, ms. */
  readonly pingMs: number
}

/** One server of the chain, with the session that is open there. */
export interface Hop<S extends ChainPeer = ChainPeer> {
  readonly server: S
  readonly session: SpanSession
  /** The server before it pushes into this session. */
  readonly pushed: boolean
  /** What is wrong with an output's header, beyond what every pass checks; null: nothing. @default nothing more */
  readonly check?: (output: Output) => string | null
}

/** Inputs kept at each block boundary that a chain ever had, by the boundary's first block. */
export class Boundaries {
  readonly rowBytes: number
  readonly #kept = new Map<number, KeptInputs>()

  constructor(rowBytes: number) {
    this.rowBytes = rowBytes
  }

  at(block: number): KeptInputs {
    let kept = this.#kept.get(block)
    if (kept === undefined) this.#kept.set(block, (kept = new KeptInputs(this.rowBytes)))
    return kept
  }

  /** Bytes of all tokens that are kept. */
  get bytes(): number {
    return [...this.#kept.values()].reduce((sum, kept) => sum + kept.length * this.rowBytes, 0)
  }

  /** Forgets everything. */
  clear(): void {
    this.#kept.clear()
  }
}

export interface PipelineEvents {
  /** A pass's result counts; in order. */
  onEmit(step: number, tensor: Uint8Array | null, trace: PassTrace): void
  /** Nothing of the pass is under way any more; in order. */
  onRetire(step: number): void
  /** Something came: the chain is alive. */
  onProgress(): void
  /** The epoch is over. */
  onFault(fault: Fault): void
}

export interface PipelineInit<S extends ChainPeer> {
  readonly hops: readonly Hop<S>[]
  readonly epoch: number
  readonly verify: VerifyPolicyName
  /** As of PassesInit. @default false */
  readonly withReceipts?: boolean
}

interface Running {
  readonly trace: PassTrace
  /** Where each server's output goes. */
  readonly into: readonly (Uint8Array | null)[]
}

/** The sessions of one epoch, driven by the engine of passes. It is silent until `begin`, so that its owner knows it by then. */
export class Pipeline<S extends ChainPeer = ChainPeer> {
  readonly hops: readonly Hop<S>[]
  readonly #clock: Clock
  readonly #boundaries: Boundaries
  readonly #events: PipelineEvents
  readonly #epoch: number
  readonly #passes: Passes
  readonly #running = new Map<number, Running>()
  #started = 0

  constructor(
    components: { clock: Clock; digest: Digester; boundaries: Boundaries; events: PipelineEvents },
    init: PipelineInit<S>
  ) {
    this.#clock = components.clock
    this.#boundaries = components.boundaries
    this.#events = components.events
    this.hops = init.hops
    this.#epoch = init.epoch
    this.#passes = new Passes(components, {
      verify: init.verify,
      withReceipts: init.withReceipts,
      rowBytes: components.boundaries.rowBytes,
      servers: init.hops.map(({ server, session, pushed }) => ({
        peerId: server.peerId,
        from: server.from,
        to: server.to,
        pushKey: session.opened.pushKey,
        pushed
      })),
      uplinkIdle: server => this.hops[server]?.session.uplinkIdle ?? false
    })
  }

  /** Hears the sessions from now on. One that is over already ends the epoch at once. */
  begin(): void {
    for (const [server, { session }] of this.hops.entries()) this.#listen(server, session)
  }

  get waitingFor(): Passes['waitingFor'] {
    return this.#passes.waitingFor
  }

  /** Number of the pass that `start` begins next. */
  get nextStep(): number {
    return this.#started
  }

  /** No pass is under way. */
  get idle(): boolean {
    return this.#running.size === 0
  }

  /** Starts a pass, unless the epoch is over. */
  start(pass: PassInput): void {
    if (this.#passes.over) return
    const step = this.#started++
    const trace: PassTrace = {
      position: pass.position,
      n: pass.n,
      pushed: this.hops.map(({ pushed }) => pushed),
      startedMs: this.#clock.now(),
      emittedMs: null,
      hops: this.hops.map(({ server }) => ({
        peerId: server.peerId,
        blocks: [server.from, server.to],
        sentMs: null,
        headerMs: null,
        tensorMs: null,
        output: null
      }))
    }
    const into = this.hops.map(({ server }, i) => {
      if (i < this.hops.length - 1) return this.#boundaries.at(server.to).reserve(pass.n)
      return pass.want === 'last' ? new Uint8Array(this.#boundaries.rowBytes) : null
    })
    this.#running.set(step, { trace, into })
    this.#apply(this.#passes.start(pass))
  }

  /** Ends the epoch for a reason that the sessions do not show. */
  fail(server: number, error: AndthenError): void {
    this.#apply(this.#passes.onServerFailed(server, error))
  }

  #listen(server: number, session: SpanSession): void {
    // What comes once the epoch is over is no sign that its successor gets on.
    const ofThisEpoch = ({ epoch }: { epoch: number }): boolean => epoch === this.#epoch && !this.#passes.over
    session.listen({
      onOutput: (output, bytes) =>
        ofThisEpoch(output) && !output.replay ? this.#onOutput(server, output, bytes) : null,
      onTensor: (output, tensor) => {
        if (this.#passes.over) return
        const hop = this.#running.get(output.step)?.trace.hops[server]
        if (hop?.output === output) hop.tensorMs = this.#clock.now()
        this.#events.onProgress()
        this.#apply(this.#passes.onTensor(server, output, tensor))
      },
      onNeedCopy: request => {
        if (ofThisEpoch(request)) this.#apply(this.#passes.onNeedCopy(server, request.step))
      },
      onMismatch: mismatch => {
        if (ofThisEpoch(mismatch)) this.#apply(this.#passes.onMismatch(server, mismatch))
      },
      onResumed: () => {
        if (!this.#passes.over) this.#events.onProgress()
      },
      onEnd: error => this.fail(server, error)
    })
  }

  #onOutput(server: number, output: Output, bytes: number): Uint8Array | null {
    const running = this.#running.get(output.step)
    const hop = running?.trace.hops[server]
    if (running === undefined || hop === undefined || hop.output !== null) return null
    hop.headerMs = this.#clock.now()
    hop.output = output
    const into = running.into[server] ?? null
    this.#events.onProgress()
    const wrong = this.hops[server]?.check?.(output) ?? null
    if (wrong !== null) {
      this.fail(server, new ServerFaultError(hop.peerId, wrong))
      return null
    }
    this.#apply(this.#passes.onOutput(server, output, bytes))
    return into?.length === bytes ? into : null
  }

  #apply(effects: readonly PassEffect[]): void {
    for (const effect of effects) this.#carryOut(effect)
  }

  #carryOut(effect: PassEffect): void {
    switch (effect.kind) {
      case 'step': {
        const { server, request, bytes } = effect
        const hop = this.#running.get(request.step)?.trace.hops[server]
        // A copy that follows a pushed step is no new beginning.
        if (hop !== undefined) hop.sentMs ??= this.#clock.now()
        this.hops[server]?.session.step({ ...request, want: Want[request.want], epoch: this.#epoch }, bytes)
        return
      }
      case 'verify':
        this.hops[effect.server]?.session.verify({ epoch: this.#epoch, step: effect.step, digest: effect.digest })
        return
      case 'emit': {
        const trace = this.#running.get(effect.step)?.trace
        if (trace === undefined) return
        trace.emittedMs = this.#clock.now()
        this.#events.onEmit(effect.step, effect.tensor, trace)
        return
      }
      case 'retire': {
        const running = this.#running.get(effect.step)
        if (running === undefined) return
        this.#running.delete(effect.step)
        for (const [i, { server }] of this.hops.slice(0, -1).entries()) {
          const received = running.into[i]
          if (received != null) this.#boundaries.at(server.to).keep(received)
        }
        this.#events.onRetire(effect.step)
        return
      }
      case 'fault':
        this.#events.onFault(effect.fault)
    }
  }
}
