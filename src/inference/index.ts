// The rpc_inference protocol on both ends. Where a push is checked: server/push/push-receiver.ts and server/push/upstream-check.ts;
// which copy is used, what is proven and what is committed: race/race.ts.
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
