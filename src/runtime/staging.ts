import type { LoadedGraph } from './binding.ts'

/** The runner's own memory in the host, which a span's ports are fed from and emptied to. */
export interface Staging {
  readonly hidden: Float32Array
  readonly hiddenOut: Float32Array
  readonly seqlens: Int32Array
  readonly total: Int32Array
}

export function stagingOf(graph: LoadedGraph): Staging {
  return {
    hidden: new Float32Array(graph.memoryOf('hidden')),
    hiddenOut: new Float32Array(graph.memoryOf('hidden_out')),
    seqlens: new Int32Array(graph.memoryOf('seqlens_k')),
    total: new Int32Array(graph.memoryOf('total_sequence_length'))
  }
}
