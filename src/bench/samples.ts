import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { finished } from 'node:stream/promises'
import type { LoadSample, TrialOutcome, Variant } from './client/client-calls.ts'
import type { FloodTarget } from './report.ts'

/** One run of one variant as it was measured, for `samples.jsonl`: a line each, failed ones too. */
export type RunSamples = TrialOutcome &
  Pick<Variant, 'servers' | 'route' | 'verify'> &
  Partial<Pick<LoadSample, 'latencyMs' | 'firstTokenMs'>> & { readonly run: number; readonly flood?: FloodTarget }

/** Writes `samples.jsonl` as runs end, so that an interrupted benchmark keeps what it has. */
export class SamplesFile {
  readonly path: string
  readonly #stream: WriteStream

  private constructor(path: string) {
    this.path = path
    this.#stream = createWriteStream(path)
  }

  /** Makes the folder where it is missing. @throws the system's error where it cannot be written */
  static async create(folder: string): Promise<SamplesFile> {
    await mkdir(folder, { recursive: true })
    const file = new SamplesFile(join(folder, 'samples.jsonl'))
    await once(file.#stream, 'open')
    return file
  }

  async add(samples: RunSamples): Promise<void> {
    if (!this.#stream.write(`${JSON.stringify(samples)}\n`)) await once(this.#stream, 'drain')
  }

  async close(): Promise<void> {
    this.#stream.end()
    await finished(this.#stream)
  }
}
