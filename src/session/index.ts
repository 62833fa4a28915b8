/**
 * Sessions that end when they should, and the one lane that their runs go through.
 *
 * `SessionTable` says who has a row of the KV slab and for how long; `ComputeLane` says whose run is next. Both take a
 * clock and effects; neither knows a socket or a model.
 */
export { BusyError } from './errors.ts'
export { type DirectInit, direct } from './direct.ts'
export type { SessionHooks } from './hooks.ts'
export type { SessionEvents, SessionTableComponents, SessionTableInit } from './init.ts'
export {
  ComputeLane,
  type ComputeLaneComponents,
  type ComputeLaneInit,
  type RunBatch,
  type RunTimings
} from './lane.ts'
export { type OldestInit, oldest } from './oldest.ts'
export { HostParking, type HostParkingInit } from './parking.ts'
export type { ParkingLot, Rows } from './rows.ts'
export { type Batch, type BatchingPolicy, type Ready, Scheduler, type Work } from './scheduler.ts'
export { type EndReason, type OpenRequest, type Session, type SessionState } from './session.ts'
export type { Row } from './slots.ts'
export type { Durations, SessionStatistics } from './statistics.ts'
export { SessionTable } from './table.ts'
