// libp2p 3 calls Promise.withResolvers, which Node 20 lacks: without it a dial fails with a bare ECONNRESET.
// Imported first by every entry point; Node 22 and later need nothing.

interface PromiseConstructorWithResolvers {
  withResolvers?: <T>() => { promise: Promise<T>; resolve: (value: T) => void; reject: (reason: unknown) => void }
}

const constructor = Promise as unknown as PromiseConstructorWithResolvers
constructor.withResolvers ??= function withResolvers<T>() {
  let resolve!: (value: T | PromiseLike<T>) => void
  let reject!: (reason: unknown) => void
  const promise = new Promise<T>((accept, refuse) => {
    resolve = accept
    reject = refuse
  })
  return { promise, resolve, reject }
}
