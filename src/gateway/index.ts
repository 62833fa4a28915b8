export { type Admin, type AdminInit, type AdminSources, createAdmin } from './admin.ts'
export { AdminError } from './errors.ts'
export { createMetrics, type MetricInit, type Metrics, type Readings } from './metrics.ts'
