export { type Admin, type AdminInit, type AdminSources, createAdmin, demandTokenBeyondLoopback } from './admin.ts'
export { createMetrics, type Metrics } from './metrics.ts'
