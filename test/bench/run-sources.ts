/** Node's options for a process or thread that runs a program of src: Node 20 cannot run TypeScript. */
export const runSources = `--import ${new URL('../fixtures/bench/typescript.mjs', import.meta.url).href}`
