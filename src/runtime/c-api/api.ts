import { RuntimeRunError } from '../errors.ts'
import type {
  Command,
  CommandArguments,
  Creator,
  CreatorArguments,
  FunctionTable,
  Pointer,
  Releaser
} from './functions.ts'

/** From JavaScript's memory to addresses and back. */
export interface MemoryAccess {
  address(memory: ArrayBufferView): Pointer
  view(address: Pointer, bytes: number): ArrayBuffer
}

/** ONNX Runtime's C API with its statuses turned into errors. Nothing here owns what it creates. */
export class Api {
  readonly library: string
  readonly version: string
  readonly #functions: FunctionTable
  readonly #memory: MemoryAccess

  constructor(library: string, version: string, functions: FunctionTable, memory: MemoryAccess) {
    this.library = library
    this.version = version
    this.#functions = functions
    this.#memory = memory
  }

  /** Where `memory` lies; it must be kept referenced for as long as the address is used. */
  addressOf(memory: ArrayBufferView): Pointer {
    return this.#memory.address(memory)
  }

  /** Memory at an address, uncopied. To be asked for once an address, and not used after it was freed. */
  viewOf(address: Pointer, bytes: number): Uint8Array {
    return new Uint8Array(this.#memory.view(address, bytes))
  }

  call<N extends Command>(name: N, ...args: CommandArguments<N>): void {
    this.#check(name, this.#functions[name](...args) as Pointer | null)
  }

  /** Calls on a thread of libuv's pool. What the arguments point to must live until the promise settles. */
  async callAsync<N extends Command>(name: N, ...args: CommandArguments<N>): Promise<void> {
    this.#check(name, await this.#onPool(name, args))
  }

  create<N extends Creator>(name: N, ...args: CreatorArguments<N>): Pointer {
    const out: [Pointer | null] = [null]
    this.#check(name, this.#functions[name](...args, out) as Pointer | null)
    return created(name, out)
  }

  async createAsync<N extends Creator>(name: N, ...args: CreatorArguments<N>): Promise<Pointer> {
    const out: [Pointer | null] = [null]
    this.#check(name, await this.#onPool(name, [...args, out]))
    return created(name, out)
  }

  release(name: Releaser, pointer: Pointer): void {
    this.#functions[name](pointer)
  }

  #onPool(name: Command | Creator, args: readonly unknown[]): Promise<Pointer | null> {
    return new Promise((resolve, reject) => {
      this.#functions[name].async(...args, (error: Error | null, status: Pointer | null) => {
        if (error === null) resolve(status)
        else reject(error)
      })
    })
  }

  #check(name: string, status: Pointer | null): void {
    if (status === null) return
    const message = this.#functions.GetErrorMessage(status) as string
    const code = this.#functions.GetErrorCode(status) as number
    this.#functions.ReleaseStatus(status)
    const details = { function: name, status: code }
    throw new RuntimeRunError(`ONNX Runtime: ${plainMessage(message)}`, { details, cause: message })
  }
}

/**
 * What ONNX Runtime says, in a line. Peers may read it: where in its source it was said, and on which host, is left out.
 *
 * @param message - such as `/src/x.cc:62 f(int) [ONNXRuntimeError] : 1 : FAIL : CUDA failure 2: out of memory ; GPU=0 ;
 * hostname=h ; file=/src/x.cc ; line=69 ; expr=cudaMalloc(p, n); ` (common/exceptions.h, CudaCall); where CudaCall threw, its
 * own signature is before that, twice
 */
export function plainMessage(message: string): string {
  const [said = ''] = message.split(/\[ONNXRuntimeError\] : \d+ : [A-Z_]+ : /).slice(-1)
  return said
    .replace(/^.*\[with ERRTYPE = .*\] (?=[A-Z]+ failure \d)/s, '')
    .replace(/ ; (GPU|hostname|file|line|expr)=[^\n]*/g, '')
    .replace(/^\/\S+:\d+ (?:[^()]*\bonnxruntime::[\w:~]+\([^()]*\)(?: const)? )?/, '')
    .replace(/\s+/g, ' ')
    .trim()
}

function created(name: string, [pointer]: readonly [Pointer | null]): Pointer {
  if (pointer === null) throw new RuntimeRunError(`ONNX Runtime: ${name} gave nothing`, { details: { function: name } })
  return pointer
}
