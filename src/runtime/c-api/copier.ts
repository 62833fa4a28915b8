import { Turns } from '../turns.ts'
import type { Device } from './device.ts'
import { type Environment, openEnvironment } from './environment.ts'
import type { Pointer } from './functions.ts'
import { DeviceMemory } from './memory.ts'
import { createSession } from './session.ts'

/** Copied by the calling thread: faster than handing it to another one. */
const inlineBytes = 64 * 1024

/** Of a place that are cleared at a time. */
const clearBytes = 16 * 1024 * 1024

/** Bytes somewhere. */
export interface Place {
  readonly memory: DeviceMemory
  readonly pointer: Pointer
}

/**
 * Copies between the host's memory and a device's, or within one: a session of its own on the device, whose graph does
 * nothing else. ONNX Runtime brings its input to the device as it is bound, and its output back at the end of the run.
 * The C API's own CopyTensors is no use for it: in 1.30 it knows no way between two tensors of the host, so that
 * nothing of this could be tested without a GPU.
 */
export class Copier {
  readonly #environment: Environment
  readonly #session: Pointer
  readonly #runOptions: Pointer
  readonly #binding: Pointer
  readonly #turns: Turns
  readonly #device: Device

  private constructor(environment: Environment, session: Pointer, turns: Turns, device: Device) {
    const { api } = environment
    this.#environment = environment
    this.#device = device
    this.#session = session
    this.#turns = turns
    this.#runOptions = api.create('CreateRunOptions')
    this.#binding = api.create('CreateIoBinding', session)
  }

  /** @throws RuntimeLoadError */
  static async open(environment: Environment, device: Device): Promise<Copier> {
    // Here, since a span that runs in the host's memory has no use for the code that builds graphs.
    const { buildCopyGraph } = await import('../../model/index.ts')
    const plain = { ...device, replays: false }
    const turns = device.replays ? environment.turns : new Turns()
    const init = { graph: buildCopyGraph(), threads: 1 }
    return new Copier(environment, await turns.take(() => createSession(environment, init, plain)), turns, device)
  }

  /** Copies take their turns; `from` is read, and `to` written, until the promise settles. */
  copy(from: Place, to: Place, bytes: number): Promise<void> {
    return this.#turns.take(() => this.#copy(from, to, bytes))
  }

  /** Moves the first byte of a place to the host. @throws RuntimeRunError where the device does not do even that */
  async check(there: Place): Promise<void> {
    const { api, memory } = this.#environment
    const byte = new Uint8Array(new ArrayBuffer(1))
    await this.copy(there, { memory, pointer: api.addressOf(byte) }, byte.length)
  }

  /** Fills with zeros: the first of them come from the host, the others from there. */
  async clear(place: Place, bytes: number): Promise<void> {
    const { api, memory: host } = this.#environment
    const zeros = new Uint8Array(new ArrayBuffer(Math.min(bytes, clearBytes)))
    await this.copy({ memory: host, pointer: api.addressOf(zeros) }, place, zeros.length)
    for (let at = zeros.length; at < bytes; at += zeros.length) {
      const to = { memory: place.memory, pointer: place.pointer + BigInt(at) }
      await this.copy(place, to, Math.min(zeros.length, bytes - at))
    }
  }

  /** The device's own memory, as the copier's session allocates it; to be closed before the copier, where it is not the host's. */
  residentMemory({ memory }: Device): DeviceMemory {
    const { api, memory: host } = this.#environment
    return memory === null ? host : DeviceMemory.ofSession(api, this.#session, memory.resident)
  }

  /** Waits for the copies under way. */
  close(): Promise<void> {
    const { api } = this.#environment
    return this.#turns.take(() => {
      api.release('ReleaseIoBinding', this.#binding)
      api.release('ReleaseRunOptions', this.#runOptions)
      api.release('ReleaseSession', this.#session)
    })
  }

  async #copy(from: Place, to: Place, bytes: number): Promise<void> {
    const { api, memory: host } = this.#environment
    const values: Pointer[] = []
    const bind = (command: 'BindInput' | 'BindOutput', name: string, { memory, pointer }: Place): void => {
      const value = memory.tensor(pointer, 'uint8', [bytes])
      values.push(value)
      api.call(command, this.#binding, name, value)
    }
    try {
      this.#device.enter?.()
      bind('BindInput', 'from', from)
      bind('BindOutput', 'to', to)
      // What is on the device is not copied as it is bound, and waiting for the device would be waiting for other work on it.
      if (from.memory === host) api.call('SynchronizeBoundInputs', this.#binding)
      if (bytes <= inlineBytes) api.call('RunWithBinding', this.#session, this.#runOptions, this.#binding)
      else await api.callAsync('RunWithBinding', this.#session, this.#runOptions, this.#binding)
    } finally {
      for (const value of values) api.release('ReleaseValue', value)
    }
  }
}

/**
 * Milliseconds of each of `rounds` copies of as many bytes from one place of a device's memory to another, after others for
 * at least `warmMs`: the first one allocates, and a device that idled takes its time to reach its clocks. Each copy reads
 * and writes them once.
 *
 * @throws RuntimeLoadError, RuntimeRunError where the device has no room for both places
 */
export async function timeCopies(
  { device, libraryFolder }: { readonly device: Device; readonly libraryFolder?: string | undefined },
  { bytes, rounds, warmMs }: { readonly bytes: number; readonly rounds: number; readonly warmMs: number }
): Promise<number[]> {
  const environment = await openEnvironment(libraryFolder)
  const copier = await Copier.open(environment, device)
  const memory = copier.residentMemory(device)
  const places: Place[] = []
  try {
    for (let i = 0; i < 2; i++) places.push({ memory, pointer: memory.allocate(bytes) })
    const [from, to] = places as [Place, Place]
    await copier.clear(from, bytes)
    const begun = performance.now()
    do await copier.copy(from, to, bytes)
    while (performance.now() - begun < warmMs)
    const times: number[] = []
    while (times.length < rounds) {
      const start = performance.now()
      await copier.copy(from, to, bytes)
      times.push(performance.now() - start)
    }
    return times
  } finally {
    for (const { pointer } of places) memory.free(pointer)
    if (memory !== environment.memory) memory.close()
    await copier.close()
  }
}
