import type { ServeOptions } from '../node/index.ts'
import type { CudaArena } from '../runtime/index.ts'
import { UsageError } from '../base/index.ts'
import { choice } from './choices.ts'
import { type FlagValues, present, toggle, value } from './flags.ts'
import { isFolder } from './model-folder.ts'
import { parseSize } from './quantities.ts'
import { parsePath } from './swarm-flags.ts'

/** @throws UsageError where there is no such folder */
function parseLibraryFolder(text: string): string {
  const folder = parsePath(text)
  if (isFolder(folder)) return folder
  throw new UsageError(`"${text}" is no folder: give the one that holds libonnxruntime.so, or what pip installed it to`)
}

export const onnxruntimeFlag = value(
  'DIR',
  "folder with ONNX Runtime's libonnxruntime.so and its providers, or what pip installed it to",
  parseLibraryFolder,
  'what onnxruntime-node ships'
)

const arenas = ['exact', 'doubling'] as const satisfies readonly CudaArena[]

/** How spans are computed, for those commands that take a device. */
export const runtimeFlags = {
  onnxruntime: onnxruntimeFlag,
  cudaMemory: value('SIZE', "most that weights, KV cache and runs take of a GPU's memory", parseSize, 'no limit'),
  cudaArena: value(
    'HOW',
    'how what CUDA has of it grows: exact, by what is asked for, or doubling',
    choice(arenas),
    'exact'
  ),
  cudaGraph: toggle('capture single-token runs as CUDA graphs, one for each window of rows, and replay them')
}

export function runtimeOptions(given: FlagValues<typeof runtimeFlags>): Pick<ServeOptions, 'onnxruntime' | 'cuda'> {
  const { onnxruntime, cudaMemory: memoryLimit, cudaArena: arena, cudaGraph: graph } = given
  const cuda = present({ memoryLimit, arena, graph })
  return { ...present({ onnxruntime }), ...(Object.keys(cuda).length === 0 ? {} : { cuda }) }
}
