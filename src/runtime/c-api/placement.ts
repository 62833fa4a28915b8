import type { GraphPlan } from '../binding.ts'
import { Copier } from './copier.ts'
import type { Device } from './device.ts'
import type { Environment } from './environment.ts'
import type { Pointer } from './functions.ts'
import { DeviceMemory } from './memory.ts'
import { CrossingPorts, HostPorts, type Ports, ResidentPorts } from './ports.ts'
import { DeviceRows, HostRows, type RowMover } from './row-state.ts'
import { SlabMemory } from './slab.ts'

/** Where a session's tensors are: its slab, its ports, and the way of rows in and out. */
export interface Placement {
  readonly slab: SlabMemory
  readonly ports: Ports
  readonly rows: RowMover
  /** Work that nothing else may go beside on the device; absent where anything may. */
  alone?<T>(work: () => T | Promise<T>): Promise<T>
  /** Whether the device still does anything; absent where it is the host. @throws RuntimeRunError where it does not */
  check?(): Promise<void>
  /** Frees all of it; to be done before the session is released. */
  close(): Promise<void>
}

/** @throws RuntimeRunError where there is not as much memory, RuntimeLoadError */
export async function placeTensors(
  environment: Environment,
  session: Pointer,
  plan: GraphPlan,
  device: Device
): Promise<Placement> {
  if (device.memory === null) return placeOnHost(environment, plan)
  const { api } = environment
  const undo: (() => void | Promise<void>)[] = []
  const close = async (): Promise<void> => {
    for (const release of undo.splice(0).reverse()) await release()
  }
  const kept = <T extends { close(): void | Promise<void> }>(owned: T): T => {
    undo.push(() => owned.close())
    return owned
  }
  try {
    const resident = kept(DeviceMemory.ofSession(api, session, device.memory.resident))
    const crossing = kept(DeviceMemory.ofSession(api, session, device.memory.crossing))
    const copier = kept(await Copier.open(environment, device))
    const slab = kept(new SlabMemory(resident, plan.slab))
    // A kernel may weigh what lies beyond a row's length with zero, and zero times a NaN that was left there is none.
    for (const { pointer, bytes } of slab.tensors) await copier.clear({ memory: resident, pointer }, bytes)
    // Allocated, and copied once, before memory may run out: that would look like the device's end.
    const spare = { memory: resident, pointer: resident.allocate(1) }
    undo.push(() => resident.free(spare.pointer))
    await copier.check(spare)
    const ports = new CrossingPorts(environment.memory, crossing, plan)
    const bound = kept(device.replays ? new ResidentPorts(ports, resident, copier, plan) : ports)
    return {
      slab,
      ports: bound,
      rows: new DeviceRows(environment, slab, copier),
      ...(device.replays && { alone: work => environment.turns.take(work) }),
      check: () => copier.check(spare),
      close
    }
  } catch (error) {
    await close()
    throw error
  }
}

function placeOnHost(environment: Environment, plan: GraphPlan): Placement {
  const slab = new SlabMemory(environment.memory, plan.slab)
  return {
    slab,
    ports: new HostPorts(environment, plan),
    rows: new HostRows(slab),
    close: () => Promise.resolve(slab.close())
  }
}
