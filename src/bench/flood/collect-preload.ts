// Loaded into a server before it starts, with --expose-gc: garbage that V8 has not collected yet is no memory that a flood
// took, and it collects when it likes.
process.on('SIGUSR2', () => globalThis.gc?.())
