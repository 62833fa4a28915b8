import type { SpanGraph } from '../../model/index.ts'
import type { GraphCall, GraphPlan } from '../binding.ts'
import type { Device } from './device.ts'
import { openEnvironment } from './environment.ts'
import { placeTensors } from './placement.ts'
import { PreparedWindow } from './prepared.ts'
import { createSession } from './session.ts'

export interface BareDecodeInit {
  /** Tokens in the cache before the step. */
  readonly past: number
  readonly threads: number
  /** Rows of the step. @default 1 */
  readonly rows?: number
  readonly device: Device
  readonly libraryFolder?: string | undefined
}

/** One decode step of a span, over and over, with nothing around ONNX Runtime: what a runner is compared with. */
export interface BareDecode {
  /**
   * So many steps one behind the other, from and to memory of the device. Waits for the device once, at the end, so that
   * starting the work of one step goes on beside the work of the last. Blocks the event loop for all of them.
   */
  steps(count: number): void
  close(): Promise<void>
}

/** onnxruntime_run_options_config_keys.h: the run returns when its work is queued. */
const withoutWaiting = 'disable_synchronize_execution_providers'

/** @throws RuntimeLoadError when the library, the FFI or the graph does not load */
export async function loadBareDecode(graph: SpanGraph, init: BareDecodeInit): Promise<BareDecode> {
  const { past, threads, rows = 1, device } = init
  const environment = await openEnvironment(init.libraryFolder)
  const { api } = environment
  const hidden = {
    type: 'float32',
    dimensions: ['rows', 'tokens', graph.hiddenSize],
    elements: rows * graph.hiddenSize
  } as const
  const plan: GraphPlan = {
    graph,
    slab: { layers: graph.kv, rows, capacity: past + 1, type: graph.compute },
    threads,
    inputs: [
      { ...hidden, name: 'hidden' },
      { name: 'seqlens_k', type: 'int32', dimensions: ['rows'], elements: rows },
      { name: 'total_sequence_length', type: 'int32', dimensions: [], elements: 1 }
    ],
    outputs: [{ ...hidden, name: 'hidden_out' }]
  }
  const session = await createSession(environment, plan, { ...device, replays: false })
  const placing = placeTensors(environment, session, plan, { ...device, replays: true })
  const { slab, ports, close } = await placing.catch((error: unknown) => {
    api.release('ReleaseSession', session)
    throw error
  })
  new Float32Array(ports.memoryOf('hidden')).fill(0.5)
  new Int32Array(ports.memoryOf('seqlens_k')).fill(past)
  new Int32Array(ports.memoryOf('total_sequence_length')).fill(past + 1)
  const call: GraphCall = { first: 0, rows, tokens: 1 }
  await ports.upload?.(call)
  const [last, queued] = [api.create('CreateRunOptions'), api.create('CreateRunOptions')]
  api.call('AddRunConfigEntry', queued, withoutWaiting, '1')
  const window = new PreparedWindow(api, session, ports, plan)
  window.bindCache(slab, call)
  window.bindPorts(call)
  return {
    steps: count => {
      for (let i = 1; i < count; i++) api.call('RunWithBinding', session, queued, window.binding)
      api.call('RunWithBinding', session, last, window.binding)
    },
    close: async () => {
      window.close()
      for (const options of [last, queued]) api.release('ReleaseRunOptions', options)
      await close()
      api.release('ReleaseSession', session)
    }
  }
}
