// `npm start`: sets the clone up where needed, then runs three servers and generates through them.
import { setUp } from './setup.mjs'

setUp()
await import('../dist/base/polyfill.js')
const { main } = await import('../dist/cli/main.js')
await main('start', process.argv.slice(2))
