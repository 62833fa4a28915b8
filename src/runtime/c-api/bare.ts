import type { SpanGraph } from '../../model/index.ts'
import type { GraphPlan } from '../binding.ts'
import { openEnvironment } from './environment.ts'
import { PreparedWindow } from './prepared.ts'
import { createSession } from './session.ts'
import { SlabMemory } from './slab.ts'

export interface BareDecodeInit {
  /** Tokens in the cache before the step. */
  readonly past: number
  readonly threads: number
}

/** One decode step of a span, over and over, with nothing around ONNX Runtime: what a runner is compared with. */
export interface BareDecode {
  /** Blocks the event loop for the whole step. */
  step(): void
  close(): void
}

/** Over a buffer of its own: a small typed array may lie in V8's heap, where it moves. */
function int32(value: number): Int32Array {
  return new Int32Array(new ArrayBuffer(Int32Array.BYTES_PER_ELEMENT)).fill(value)
}

/** @throws RuntimeLoadError when the library, the FFI or the graph does not load */
export async function loadBareDecode(graph: SpanGraph, { past, threads }: BareDecodeInit): Promise<BareDecode> {
  const environment = await openEnvironment()
  const { api, memory } = environment
  const slab = { layers: graph.kv, rows: 1, capacity: past + 1 }
  const hidden = (): Float32Array => new Float32Array(new ArrayBuffer(4 * graph.hiddenSize)).fill(0.5)
  const plan: GraphPlan = {
    graph,
    slab,
    threads,
    inputs: [
      { name: 'hidden', dimensions: ['rows', 'tokens', graph.hiddenSize], memory: hidden() },
      { name: 'seqlens_k', dimensions: ['rows'], memory: int32(past) },
      { name: 'total_sequence_length', dimensions: [], memory: int32(past + 1) }
    ],
    outputs: [{ name: 'hidden_out', dimensions: ['rows', 'tokens', graph.hiddenSize], memory: hidden() }]
  }
  const session = await createSession(environment, graph, threads)
  const slabMemory = new SlabMemory(memory, slab)
  const runOptions = api.create('CreateRunOptions')
  const window = new PreparedWindow(api, session, memory, plan)
  const call = { first: 0, rows: 1, tokens: 1 }
  window.bindCache(slabMemory.layers, call)
  window.bindPorts(call)
  return {
    step: () => api.call('RunWithBinding', session, runOptions, window.binding),
    close: () => {
      window.close()
      api.release('ReleaseRunOptions', runOptions)
      api.release('ReleaseSession', session)
      slabMemory.close()
    }
  }
}
