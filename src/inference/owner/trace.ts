import { type Output, toHex } from '../../wire/index.ts'

/** One pass at one server, as the client saw it. Times are ms of the client's clock; `output` has the server's own stamps. */
export interface HopTrace {
  readonly peerId: string
  readonly blocks: readonly [from: number, to: number]
  /** When the client sent this server's bytes; for a pushed step, when it asked for the step. */
  sentMs: number | null
  headerMs: number | null
  tensorMs: number | null
  output: Output | null
}

/** One pass through the chain. */
export interface PassTrace {
  readonly position: number
  readonly n: number
  /** Edges of the chain that are pushed, by the server they lead to. */
  readonly pushed: readonly boolean[]
  /** The first server was left to run the others: only the whole loop was timed here. @default false */
  readonly delegated?: boolean
  readonly startedMs: number
  emittedMs: number | null
  readonly hops: readonly HopTrace[]
}

/** A trace as JSON lines, one a step and hop, raw stamps in nanoseconds of each server's own clock. */
export function traceLines(pass: PassTrace): string[] {
  return pass.hops.map((hop, i) =>
    JSON.stringify({
      position: pass.position,
      n: pass.n,
      hop: i,
      peerId: hop.peerId,
      blocks: hop.blocks,
      pushed: pass.pushed[i] ?? false,
      startedMs: pass.startedMs,
      sentMs: hop.sentMs,
      headerMs: hop.headerMs,
      tensorMs: hop.tensorMs,
      emittedMs: pass.emittedMs,
      epoch: hop.output?.epoch ?? null,
      step: hop.output?.step ?? null,
      usedPush: hop.output?.usedPush ?? null,
      stamps: hop.output === null ? null : { ...hop.output.stamps, clockId: toHex(hop.output.stamps.clockId) }
    })
  )
}
