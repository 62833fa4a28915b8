import type * as Threads from 'node:worker_threads'
import { Worker } from 'node:worker_threads'
import { MeasurementError } from './errors.ts'

/**
 * A worker's whole program, started from its own source text, since Node 20 cannot start a worker from TypeScript: it
 * uses nothing from outside itself. Searching for a byte that is not there is C's memchr over the whole buffer.
 */
function searchMain(load: (name: string) => unknown): void {
  const { parentPort, workerData } = load('node:worker_threads') as typeof Threads
  const absent = 255
  // Written, so that every page is memory of its own and not the system's one page of zeros.
  const buffer = Buffer.alloc(workerData as number, 1)
  parentPort?.on('message', () => parentPort.postMessage(buffer.indexOf(absent)))
  parentPort?.postMessage(-1)
}

/** Reads memory as fast as it goes, one thread a share. */
export class MemoryReader implements AsyncDisposable {
  readonly #workers: readonly Worker[]

  private constructor(workers: readonly Worker[]) {
    this.#workers = workers
  }

  /** @param bytes read in all by one `read` */
  static async start(bytes: number, threads: number): Promise<MemoryReader> {
    const share = Math.ceil(bytes / threads)
    const workers = Array.from(
      { length: threads },
      () => new Worker(`(${searchMain.toString()})(require)`, { eval: true, execArgv: [], workerData: share })
    )
    await Promise.all(workers.map(answer))
    return new MemoryReader(workers)
  }

  /** Reads everything once, all threads at a time; resolves with the milliseconds that it took. */
  async read(): Promise<number> {
    const answers = this.#workers.map(answer)
    const start = performance.now()
    for (const worker of this.#workers) worker.postMessage(null)
    await Promise.all(answers)
    return performance.now() - start
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.terminate()))
  }
}

function answer(worker: Worker): Promise<void> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (found: number) => {
      worker.off('error', reject)
      if (found === -1) resolve()
      else reject(new MeasurementError(`the searched memory was changed at ${found}`))
    })
  })
}
