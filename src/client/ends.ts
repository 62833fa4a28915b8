import { availableParallelism } from 'node:os'
import type { Logger } from '../base/index.ts'
import { buildEmbedGraph, buildHeadGraph, type Model } from '../model/index.ts'
import { type EndsRunner, loadEnds } from '../runtime/index.ts'

/** Loads the client's own part of the model: embedding and head. */
export async function openEnds(
  model: Model,
  { logger, threads, signal }: { logger: Logger; threads?: number | undefined; signal?: AbortSignal | undefined }
): Promise<EndsRunner> {
  return loadEnds(buildEmbedGraph(model), buildHeadGraph(model), {
    logger,
    threads: threads ?? availableParallelism(),
    ...(signal === undefined ? {} : { signal })
  })
}
