import type { Logger } from '../base/index.ts'
import type { EmbedGraph, HeadGraph, SpanGraph } from '../model/index.ts'
import type { Binding, BindingName } from './binding.ts'
import { type Device, hostDevice, openCApi } from './c-api/index.ts'
import { GraphEnds } from './ends-runner.ts'
import { type DeviceLostError, RuntimeLoadError } from './errors.ts'
import { openOfficial } from './official/index.ts'
import { SlabRunner } from './span-runner.ts'
import type { EndsRunner, RuntimeInfo, SpanRunner } from './types.ts'

export interface RuntimeInit {
  /** Where graphs run, from `chooseDevice`; `c-api` only, where it is not the host. @default the host */
  device?: Device
  /** `auto` takes `c-api`, and `official` where that does not load. @default 'auto' */
  binding?: 'auto' | BindingName
  /** Holds ONNX Runtime's shared library, for `c-api`. @default the one that onnxruntime-node ships */
  libraryFolder?: string
  /** Threads that compute. */
  threads: number
  logger: Logger
  /** Cancels loading. */
  signal?: AbortSignal
}

export interface SpanInit extends RuntimeInit {
  /** Sessions whose KV cache there is room for. */
  slots: number
  /** Tokens of one session. */
  maxLength: number
  /** Most tokens that one prefill takes: what a decode may have to wait for. @default 128 */
  chunkTokens?: number
  /** Told by each run that fails because the device does nothing any more. */
  onLost?: (error: DeviceLostError) => void
}

interface Opened {
  readonly binding: Binding
  readonly reason: string
}

/** The choice is the process's, so that its warning comes once. */
const opened = new Map<string, Promise<Opened>>()

function openBinding(init: RuntimeInit): Promise<Opened> {
  const device = init.device ?? hostDevice
  if (device !== hostDevice) return openOn(device, init)
  const wanted = init.binding ?? 'auto'
  const key = `${wanted}:${init.libraryFolder ?? ''}`
  const known = opened.get(key)
  if (known !== undefined) return known
  const opening = chooseBinding(wanted, init)
  opened.set(key, opening)
  opening.catch(() => opened.delete(key))
  return opening
}

async function chooseBinding(wanted: 'auto' | BindingName, { libraryFolder, logger }: RuntimeInit): Promise<Opened> {
  if (wanted === 'official') return { binding: await openOfficial(), reason: 'asked for' }
  try {
    const binding = await openCApi(libraryFolder)
    return { binding, reason: wanted === 'auto' ? 'the default' : 'asked for' }
  } catch (error) {
    if (wanted === 'c-api' || !(error instanceof RuntimeLoadError)) throw error
    logger.warn({ code: error.code }, `${error.message}; onnxruntime-node's own binding takes over, which is slower`)
    return { binding: await openOfficial(), reason: error.message }
  }
}

async function openOn(device: Device, { binding, libraryFolder }: RuntimeInit): Promise<Opened> {
  if (binding === 'official')
    throw new RuntimeLoadError(`onnxruntime-node's own binding does not run on ${device.name}`)
  return { binding: await openCApi(libraryFolder, device), reason: 'the only one for this device' }
}

function describe({ binding, reason }: Opened): RuntimeInfo {
  const { device, name, version, library } = binding
  return { device, binding: name, reason, version, library }
}

/**
 * Loads a span of blocks with a KV cache for `slots` sessions.
 *
 * @throws RuntimeLoadError, or CancelledError when `signal` aborts
 */
export async function loadSpan(graph: SpanGraph, init: SpanInit): Promise<SpanRunner> {
  const chosen = await openBinding(init)
  const sizes = {
    slots: init.slots,
    maxLength: init.maxLength,
    chunkTokens: Math.min(init.chunkTokens ?? 128, init.maxLength),
    threads: init.threads,
    ...(init.onLost === undefined ? {} : { onLost: init.onLost })
  }
  return SlabRunner.load(chosen.binding, describe(chosen), graph, sizes, init.signal)
}

/**
 * Loads the embedding and the head.
 *
 * @throws RuntimeLoadError, or CancelledError when `signal` aborts
 */
export async function loadEnds(embed: EmbedGraph, head: HeadGraph, init: RuntimeInit): Promise<EndsRunner> {
  const chosen = await openBinding(init)
  return GraphEnds.load(chosen.binding, describe(chosen), { embed, head }, init.threads, init.signal)
}
