import type { Output, WantName } from '../../wire/index.ts'
import type { PassInput, StepRequest } from './pass-types.ts'

/** One pass at one server. */
export interface Stop {
  requested: boolean
  header: Output | null
  tensor: Uint8Array | null
  /** How the server's input was proven. */
  proof: 'none' | 'digest' | 'bytes'
  /** The server has no input and asked for the client's. */
  needsCopy: boolean
}

/** One pass through a chain: what is asked of each server, and what of it is there. */
export class Pass implements PassInput {
  readonly step: number
  readonly position: number
  readonly n: number
  readonly input: Uint8Array
  readonly want: PassInput['want']
  readonly inputDigest: Uint8Array
  /** A server each. */
  readonly stops: readonly Stop[]
  emitted = false

  constructor(input: PassInput, init: { step: number; inputDigest: Uint8Array; servers: number }) {
    this.step = init.step
    this.position = input.position
    this.n = input.n
    this.input = input.input
    this.want = input.want
    this.inputDigest = init.inputDigest
    this.stops = Array.from({ length: init.servers }, () => ({
      requested: false,
      header: null,
      tensor: null,
      proof: 'none',
      needsCopy: false
    }))
  }

  /** All but the last server answer with all rows: their outputs are the proof of the next one's input. */
  wantOf(server: number): WantName {
    return server < this.stops.length - 1 ? 'tensor' : this.want
  }

  requestTo(server: number): StepRequest {
    return { step: this.step, position: this.position, n: this.n, want: this.wantOf(server) }
  }

  /** Which tokens a server's output holds. */
  tokensOut(server: number): { position: number; n: number } {
    switch (this.wantOf(server)) {
      case 'tensor':
        return { position: this.position, n: this.n }
      case 'last':
        return { position: this.position + this.n - 1, n: 1 }
      case 'none':
        return { position: this.position, n: 0 }
    }
  }

  /** The server's output is not there, or its tensor not whole. */
  lacks(server: number): boolean {
    const stop = this.stops[server]
    return stop?.header == null || (stop.tensor === null && this.wantOf(server) !== 'none')
  }

  /** Every header is there; that they chain was seen when each came. */
  get isChained(): boolean {
    return this.stops.every(stop => stop.header !== null)
  }

  /** The last server's output is there. */
  get hasResult(): boolean {
    return !this.lacks(this.stops.length - 1)
  }

  /** Nothing of it is under way any more. */
  get isDone(): boolean {
    return this.emitted && this.stops.every((_, server) => !this.lacks(server))
  }
}
