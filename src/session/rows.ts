import type { Session } from './session.ts'

/** The KV rows behind the slots, as opaque bytes. `session.row` is set in every call. */
export interface Rows {
  /**
   * Empties the row for its next session. Called once for each grant, after the last run on it ended. If it rejects,
   * the row is never lent again: better one row less than one client's state in another's session.
   */
  release(session: Session): void | Promise<void>
  /** Bytes that `save` would give now. */
  stateBytes(session: Session): number
  save(session: Session): Promise<Uint8Array>
  /** Fills an empty row with what `save` gave. */
  load(session: Session, state: Uint8Array): Promise<void>
}

/** Where the state of parked sessions waits. Keys are hex and never used twice. */
export interface ParkingLot {
  fits(bytes: number): boolean
  /** @throws when there was no room after all; nothing is kept then. */
  put(key: string, state: Uint8Array): Promise<void>
  /** Gives the state back and forgets it. @throws ParkedStateError when it is missing or damaged. */
  take(key: string): Promise<Uint8Array>
  /** Forgets it; unknown keys are fine. */
  drop(key: string): Promise<void>
}
