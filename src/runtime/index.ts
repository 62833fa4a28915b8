export { loadBareDecode } from './c-api/index.ts'
export { loadEnds, loadSpan, type SpanInit } from './load.ts'
export type { EndsRunner, SpanRun, SpanRunner } from './types.ts'
