import type { AndthenError } from '../../base/index.ts'
import { type Digester, equalBytes, type Mismatch, type Output } from '../../wire/index.ts'
import { AUTO_COPY_BYTES } from './constants.ts'
import { EdgeTrust } from './edge-trust.ts'
import { ServerFaultError } from './errors.ts'
import { Pass, type Stop } from './pass.ts'
import type { ChainServer, Fault, PassEffect, PassesInit, PassInput, WaitingFor } from './pass-types.ts'

/**
 * The passes of one epoch through a chain of servers: what to ask of whom, what to prove to whom, what counts. Several
 * passes may be under way. Events in, effects out; no sockets, no timers.
 *
 *     input ──▶ [server 1] ──▶ [server 2] ──▶ [server 3] ──▶ emit ──▶ retire
 *                 │ header, tensor  ▲ pushed: Verify or copy, once the digests chain up to here
 *                 ▼                 │ relayed: the step with the tensor
 *               client ─────────────┘
 *
 * A relayed edge and a pushed one differ only in what the server behind it is sent, so a route may mix both.
 *
 * Invariants, checked over all interleavings by its tests: passes are emitted in order, each once, and only when every
 * input equals the output before it; every pushed input is proven once; nothing is proven beyond a break.
 */
export class Passes {
  readonly #init: PassesInit
  readonly #digest: Digester
  readonly #passes: Pass[] = []
  /** Of the edge before each server. */
  readonly #trust: readonly EdgeTrust[]
  #nextStep = 0
  #over = false

  constructor(components: { digest: Digester }, init: PassesInit) {
    this.#digest = components.digest
    this.#init = init
    this.#trust = init.servers.map(() => new EdgeTrust())
  }

  /** The epoch is over: a fault was told, and nothing follows. */
  get over(): boolean {
    return this.#over
  }

  /** Whom the oldest pass waits for: the first server whose output is missing, or not whole; null without a pass. */
  get waitingFor(): WaitingFor | null {
    const pass = this.#passes[0]
    if (pass === undefined) return null
    const { stops } = pass
    const withoutHeader = stops.findIndex(stop => stop.header === null)
    const incomplete = stops.findIndex((_, server) => pass.lacks(server))
    return {
      step: pass.step,
      server: Math.max(0, withoutHeader === -1 ? incomplete : withoutHeader),
      overtaken: withoutHeader !== -1 && stops.at(-1)?.header !== null
    }
  }

  /** Begins the next pass. Its step number is the count of those before it. */
  start(input: PassInput): PassEffect[] {
    if (this.#over) return []
    const inputDigest = this.#digest({ boundary: this.#server(0).from, ...input }, input.input)
    const pass = new Pass(input, { step: this.#nextStep++, inputDigest, servers: this.#init.servers.length })
    this.#passes.push(pass)
    const effects: PassEffect[] = []
    for (const [server, stop] of pass.stops.entries()) {
      if (server > 0 && !this.#server(server).pushed) continue
      if (server === 0) stop.proof = 'bytes'
      stop.requested = true
      effects.push({
        kind: 'step',
        server,
        request: pass.requestTo(server),
        bytes: server === 0 ? pass.input : null
      })
    }
    return effects
  }

  /** An output's header came, with `bytes` of tensor to follow. */
  onOutput(server: number, output: Output, bytes: number): PassEffect[] {
    const pass = this.#find(output.step)
    const stop = pass?.stops[server]
    // A repeat, or an answer to what was never asked, changes nothing.
    if (this.#over || pass === undefined || !stop?.requested || stop.header !== null) return []
    if (output.n !== pass.n || output.position !== pass.position)
      return this.#blame(
        server,
        `answered step ${pass.step} for ${output.n} tokens at ${output.position}, not ${pass.n} at ${pass.position}`
      )
    const expected = pass.tokensOut(server).n * this.#init.rowBytes
    if (bytes !== expected)
      return this.#blame(server, `answered step ${pass.step} with ${bytes} bytes, not ${expected}`)
    stop.header = output
    if (output.usedPush) this.#trust[server]?.used()
    else this.#trust[server]?.failed()
    return this.#advance(pass)
  }

  /** The tensor of an output is whole. */
  onTensor(server: number, output: Output, tensor: Uint8Array): PassEffect[] {
    const pass = this.#find(output.step)
    const stop = pass?.stops[server]
    if (this.#over || pass === undefined || stop?.header !== output) return []
    const { to } = this.#server(server)
    const digest = this.#digest({ boundary: to, ...pass.tokensOut(server) }, tensor)
    if (!equalBytes(digest, output.outputDigest))
      return this.#blame(server, `sent other hidden states than the digest of step ${output.step} says`)
    stop.tensor = tensor
    return this.#advance(pass)
  }

  onNeedCopy(server: number, step: number): PassEffect[] {
    const pass = this.#find(step)
    const stop = pass?.stops[server]
    if (this.#over || pass === undefined || stop === undefined) return []
    stop.needsCopy = true
    this.#trust[server]?.failed()
    return this.#advance(pass)
  }

  onMismatch(server: number, mismatch: Mismatch): PassEffect[] {
    if (this.#over) return []
    if (!this.#server(server).pushed) return this.#blame(server, 'reports a mismatch though nothing was pushed to it')
    const output = this.#find(mismatch.step)?.stops[server - 1]?.header ?? null
    const { step } = mismatch
    return this.#fail({ kind: 'mismatch', upstream: server - 1, downstream: server, step, output, mismatch })
  }

  /** A server failed in a way that is seen elsewhere: its stream ended, it refused a step, it is too late. */
  onServerFailed(server: number, error: AndthenError): PassEffect[] {
    return this.#over ? [] : this.#fail({ kind: 'server', server, error })
  }

  /** Walks the chain from the client's own input as far as the digests chain, and does what has become possible. */
  #advance(pass: Pass): PassEffect[] {
    const effects: PassEffect[] = []
    let expected = pass.inputDigest
    for (const [server, stop] of pass.stops.entries()) {
      const upstream = pass.stops[server - 1]
      if (upstream !== undefined) this.#feed(pass, server, upstream, effects)
      if (stop.header === null) break
      if (!equalBytes(stop.header.inputDigest, expected)) return [...effects, ...this.#onBreak(pass, server, expected)]
      expected = stop.header.outputDigest
    }
    this.#settle(effects)
    return effects
  }

  /** Gives a server its input, or the proof of it; the digests chain up to the server before it. */
  #feed(pass: Pass, server: number, upstream: Stop, effects: PassEffect[]): void {
    const stop = pass.stops[server]
    const { header, tensor } = upstream
    if (stop === undefined || header === null || stop.proof === 'bytes') return
    const how = this.#proofFor(server, stop, header, tensor)
    if (how === 'bytes' && tensor !== null) {
      stop.requested = true
      effects.push({ kind: 'step', server, request: pass.requestTo(server), bytes: tensor })
      stop.proof = 'bytes'
    } else if (how === 'digest' && stop.proof === 'none') {
      effects.push({ kind: 'verify', server, step: pass.step, digest: header.outputDigest })
      stop.proof = 'digest'
    }
  }

  /** `bytes` waits for the tensor. */
  #proofFor(server: number, stop: Stop, upstream: Output, tensor: Uint8Array | null): 'bytes' | 'digest' | 'none' {
    const { pushed, pushKey } = this.#server(server)
    if (!pushed || stop.needsCopy || !equalBytes(upstream.pushed, pushKey)) return 'bytes'
    if (stop.proof !== 'none') return 'none'
    switch (this.#init.verify) {
      case 'copy':
        return 'bytes'
      case 'digest':
        return 'digest'
      case 'none':
        return 'none'
      case 'auto':
        if (this.#trust[server]?.reliable || upstream.n * this.#init.rowBytes > AUTO_COPY_BYTES) return 'digest'
        return tensor === null || this.#init.uplinkIdle(server) ? 'bytes' : 'digest'
    }
  }

  /** The server used another input than the one before it computed, or than the client sent. */
  #onBreak(pass: Pass, server: number, expected: Uint8Array): PassEffect[] {
    const stop = pass.stops[server]
    if (stop?.header == null || !stop.header.usedPush || !this.#server(server).pushed)
      return this.#blame(server, `used another input in step ${pass.step} than it was sent`)
    // Told what it should have been, the server shows the receipt that came with the push.
    const effects: PassEffect[] = []
    if (stop.proof === 'none') effects.push({ kind: 'verify', server, step: pass.step, digest: expected })
    const output = pass.stops[server - 1]?.header ?? null
    const fault: Fault = {
      kind: 'mismatch',
      upstream: server - 1,
      downstream: server,
      step: pass.step,
      output,
      mismatch: null
    }
    return [...effects, ...this.#fail(fault)]
  }

  /** Emits and retires passes, in order. */
  #settle(effects: PassEffect[]): void {
    for (const pass of this.#passes) {
      if (!pass.emitted && !this.#counts(pass)) break
      if (pass.emitted) continue
      pass.emitted = true
      effects.push({ kind: 'emit', step: pass.step, tensor: pass.stops.at(-1)?.tensor ?? null })
    }
    for (let pass = this.#passes[0]; pass !== undefined && pass.isDone; pass = this.#passes[0]) {
      this.#passes.shift()
      effects.push({ kind: 'retire', step: pass.step })
    }
  }

  /** Its result is there, and counts. */
  #counts(pass: Pass): boolean {
    const { verify, withReceipts } = this.#init
    return pass.hasResult && (pass.isChained || (verify === 'none' && withReceipts !== true))
  }

  #blame(server: number, what: string): PassEffect[] {
    return this.#fail({ kind: 'server', server, error: new ServerFaultError(this.#server(server).peerId, what) })
  }

  #fail(fault: Fault): PassEffect[] {
    this.#over = true
    return [{ kind: 'fault', fault }]
  }

  #find(step: number): Pass | undefined {
    return this.#passes.find(pass => pass.step === step)
  }

  #server(server: number): ChainServer {
    const found = this.#init.servers[server]
    if (found === undefined) throw new RangeError(`server ${server} of ${this.#init.servers.length}`)
    return found
  }
}
