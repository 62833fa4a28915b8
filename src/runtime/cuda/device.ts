import type { Api } from '../c-api/api.ts'
import type { Device } from '../c-api/device.ts'
import type { Pointer } from '../c-api/functions.ts'
import { cudart } from './libraries.ts'
import { type CudaOptions, providerOptions } from './options.ts'
import { withoutXqa } from './xqa.ts'

/** A GPU by ONNX Runtime's CUDA provider: what it differs in from other devices. */
export function cudaDevice(id: number, options: CudaOptions = {}): Device {
  withoutXqa()
  return {
    name: `cuda:${id}`,
    memory: { resident: { name: 'Cuda', id }, crossing: { name: 'CudaPinned', id } },
    replays: options.graph ?? false,
    // Weights for themselves, not in the arena, whose pieces grow with what runs need.
    config: { 'session.use_device_allocator_for_initializers': '1' },
    configure: (api, sessionOptions, graph) => {
      // What is replayed does not compute on the host again: a graph with nodes there is refused, rather than be wrong.
      if (graph) api.call('AddSessionConfigEntry', sessionOptions, 'session.disable_cpu_ep_fallback', '1')
      append(api, sessionOptions, providerOptions(id, { ...options, graph }))
    },
    enter: () => cudart()?.setDevice(id)
  }
}

function append(api: Api, sessionOptions: Pointer, values: Readonly<Record<string, string>>): void {
  const provider = api.create('CreateCUDAProviderOptions')
  try {
    const keys = Object.keys(values)
    api.call('UpdateCUDAProviderOptions', provider, keys, Object.values(values), keys.length)
    api.call('SessionOptionsAppendExecutionProvider_CUDA_V2', sessionOptions, provider)
  } finally {
    api.release('ReleaseCUDAProviderOptions', provider)
  }
}
