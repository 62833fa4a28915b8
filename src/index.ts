import './base/polyfill.ts'

export { AndthenError, type Logger, type LogLevel, createLogger } from './base/index.ts'
export type { GeneratedToken, Generation, GenerationResult } from './client/index.ts'
export * from './node/index.ts'
