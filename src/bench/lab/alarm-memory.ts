/** What the alarm and its thread share. */
export interface AlarmMemory {
  /** `[setting]`: raised at every new time. */
  settings: Int32Array<SharedArrayBuffer>
  /** `[wakeAtNs]`: when to wake, in ns of `process.hrtime`, which all threads of a process share. */
  times: BigInt64Array<SharedArrayBuffer>
}

export const setting = 0
export const wakeAtNs = 0

export function createAlarmMemory(): AlarmMemory {
  return { settings: new Int32Array(new SharedArrayBuffer(4)), times: new BigInt64Array(new SharedArrayBuffer(8)) }
}
