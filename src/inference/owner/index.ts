/** The client's end of the inference protocol: sessions on servers, and the engine that runs passes through a chain of them. */
export { RemoteError, ServerFaultError, SessionTerminatedError } from './errors.ts'
export { type AskInfoOptions, askInfo } from './info-client.ts'
export { KeptInputs, type KeptRun } from './kept-inputs.ts'
export { openSession, type OpenSessionComponents, type OpenSessionInit } from './open-session.ts'
export { SpanSession, type SessionListener } from './span-session.ts'
export type { ChainServer, Fault, PassEffect, PassInput, StepRequest, WaitingFor } from './pass-types.ts'
export { Passes } from './passes.ts'
