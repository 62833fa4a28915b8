export { type Admin, type AdminSources, createAdmin } from './admin.ts'
export { createMetrics, type Metrics } from './metrics.ts'
