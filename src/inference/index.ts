// The rpc_inference protocol on both ends. Where an upstream attaches: server/push/attachments.ts; where a push is verified:
// server/push/push-receiver.ts; which copy is used: race/race.ts; where a step commits: race/cache-row.ts.
export * from './owner/index.ts'
export type { RequestErrorCode } from './errors.ts'
export { createLedger, type Ledger, type SessionLimits, type SpanFacts } from './server/facts.ts'
export { serveInfo } from './server/info-service.ts'
export {
  InferenceServer,
  type InferenceServerComponents,
  type InferenceServerInit,
  type SessionSnapshot
} from './server/service.ts'
export { createSpanLane } from './server/span-compute.ts'
