/** The client's end of the inference protocol: sessions on servers, and the engine that runs passes through a chain of them. */
export { awaitMismatch } from './await-mismatch.ts'
export { KEPT_SLAB_BYTES } from './constants.ts'
export { RemoteError, ServerFaultError, SessionTerminatedError } from './errors.ts'
export { type AskInfoOptions, askInfo } from './info-client.ts'
export { KeptInputs, type KeptRun } from './kept-inputs.ts'
export { openInOrder } from './open-in-order.ts'
export {
  openSession,
  type OpenSessionComponents,
  type OpenSessionInit,
  type OpenSessionOptions
} from './open-session.ts'
export type { SessionListener } from './session-listener.ts'
export { SpanSession } from './span-session.ts'
export { Boundaries, type ChainPeer, type Hop, Pipeline } from './pipeline.ts'
export { createRouteCheck, type RouteExpectation } from './route-receipts.ts'
export { type HopTrace, type PassTrace, traceLines } from './trace.ts'
export { Watchdog } from './watchdog.ts'
export type { ChainServer, Fault, PassEffect, PassInput, StepRequest, WaitingFor } from './pass-types.ts'
export { Passes } from './passes.ts'
