import { AndthenError, type ErrorOptions } from '../base/index.ts'

/** Whatever goes wrong between a span's graph and the library that runs it. */
class RuntimeError extends AndthenError {
  override readonly name: string = 'RuntimeError'
}

/** The library, or a graph in it, could not be loaded. */
export class RuntimeLoadError extends RuntimeError {
  override readonly name = 'RuntimeLoadError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('RUNTIME_LOAD', message, options)
  }
}

/** A device that was asked for cannot be used; the message says what is missing, and `details.missing` lists libraries. */
export class DeviceUnavailableError extends RuntimeError {
  override readonly name = 'DeviceUnavailableError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('DEVICE_UNAVAILABLE', message, options)
  }
}

/** ONNX Runtime reported an error; `details.function` says from where and `details.status` is its OrtErrorCode. */
export class RuntimeRunError extends RuntimeError {
  override readonly name = 'RuntimeRunError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('RUNTIME_RUN', message, options)
  }
}

/** The device does nothing any more in this process: no run will succeed again. */
export class DeviceLostError extends RuntimeError {
  override readonly name = 'DeviceLostError'
  constructor(device: string, reason: string, options: ErrorOptions = {}) {
    const message = `${device} does not compute any more (${reason}): a process that is started anew may`
    super('DEVICE_LOST', message, { ...options, details: { device, reason, ...options.details } })
  }
}

/** A run was asked for while another one is in flight. */
export class RunnerBusyError extends RuntimeError {
  override readonly name = 'RunnerBusyError'
  constructor() {
    super('RUNNER_BUSY', 'the runner is in a run: await it before the next one', { retryable: true })
  }
}

export class RunnerClosedError extends RuntimeError {
  override readonly name = 'RunnerClosedError'
  constructor() {
    super('RUNNER_CLOSED', 'the runner is closed')
  }
}

/** A slot that the runner does not have, or that one call names twice. */
export class SlotError extends RuntimeError {
  override readonly name = 'SlotError'
  constructor(message: string, slot: number) {
    super('SLOT_INVALID', message, { details: { slot } })
  }
}

/** The slot is part of the run in flight, or being saved or loaded. */
export class SlotBusyError extends RuntimeError {
  override readonly name = 'SlotBusyError'
  constructor(slot: number) {
    super('SLOT_BUSY', `slot ${slot} is in a run, or on the move: abort or await it first`, {
      retryable: true,
      details: { slot }
    })
  }
}

/** A run does not start where the slot's cache ends, or a rewind goes beyond it. */
export class PositionError extends RuntimeError {
  override readonly name = 'PositionError'
  constructor(message: string, slot: number, length: number) {
    super('POSITION_MISMATCH', message, { details: { slot, length } })
  }
}

/** The tokens do not fit the slot, or the call. */
export class LengthExceededError extends RuntimeError {
  override readonly name = 'LengthExceededError'
  constructor(message: string, limit: number) {
    super('LENGTH_EXCEEDED', message, { details: { limit } })
  }
}

/** A buffer or state whose size does not fit the model, or a token id outside its vocabulary. */
export class RunInputError extends RuntimeError {
  override readonly name = 'RunInputError'
  constructor(message: string, options: ErrorOptions = {}) {
    super('RUN_INPUT', message, options)
  }
}
