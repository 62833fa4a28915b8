import './base/polyfill.ts'

export * from './node/index.ts'
