export { BlocksError, MemoryError } from './errors.ts'
export { planServe, type ServePlan } from './plan.ts'
export { serve, type ServerNode } from './serve.ts'
export type { ReadyInfo, ServeOptions } from './serve-options.ts'
