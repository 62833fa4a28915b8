// Imported first by tests that start a program of src in a process of its own: Node 20 cannot run TypeScript.
const loader = new URL('../fixtures/bench/typescript.mjs', import.meta.url).href
process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --import ${loader}`.trim()
