import { createRequire } from 'node:module'
import type { Binding } from '../binding.ts'
import { RuntimeLoadError } from '../errors.ts'
import { withoutTelemetry } from '../telemetry.ts'
import { OfficialGraph } from './graph.ts'

/**
 * onnxruntime-node's own API, in a worker thread because its runs block the thread that calls them. Slower than the C
 * API, since it copies the cache of the rows at every run, and its runs cannot be terminated.
 *
 * @throws RuntimeLoadError when the package is not there
 */
export async function openOfficial(): Promise<Binding> {
  const require = createRequire(import.meta.url)
  withoutTelemetry()
  try {
    const library = require.resolve('onnxruntime-node')
    const { version } = require('onnxruntime-node/package.json') as { version: string }
    return {
      name: 'official',
      device: 'cpu',
      version,
      library,
      load: (plan, signal) => OfficialGraph.load(library, plan, signal)
    }
  } catch (cause) {
    throw new RuntimeLoadError(`onnxruntime-node is not installed: ${String(cause)}`, { cause })
  }
}
