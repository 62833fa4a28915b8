import type { default as Koffi } from 'koffi'

/** An address in the process. */
export type Pointer = bigint

type Kind = 'pointer' | 'string' | 'strings' | 'int' | 'size' | 'out'
type Result = 'status' | 'void' | 'int' | 'string'
type Entry = readonly [index: number, result: Result, parameters: readonly Kind[]]

/**
 * The functions of ONNX Runtime's `struct OrtApi` that are used here, by their place in it (onnxruntime_c_api.h).
 * New functions are only ever appended: onnxruntime_c_api.cc asserts the last offset of each version, so an index holds
 * for every library that offers `apiVersion` or later.
 */
export const apiVersion = 22

const functions = {
  GetErrorCode: [1, 'int', ['pointer']],
  GetErrorMessage: [2, 'string', ['pointer']],
  CreateEnv: [3, 'status', ['int', 'string', 'out']],
  CreateSessionFromArray: [8, 'status', ['pointer', 'pointer', 'size', 'pointer', 'out']],
  CreateSessionOptions: [10, 'status', ['out']],
  SetSessionGraphOptimizationLevel: [23, 'status', ['pointer', 'int']],
  SetIntraOpNumThreads: [24, 'status', ['pointer', 'int']],
  CreateRunOptions: [39, 'status', ['out']],
  RunOptionsSetTerminate: [46, 'status', ['pointer']],
  RunOptionsUnsetTerminate: [47, 'status', ['pointer']],
  CreateTensorWithDataAsOrtValue: [49, 'status', ['pointer', 'pointer', 'size', 'pointer', 'size', 'int', 'out']],
  CreateMemoryInfo: [68, 'status', ['string', 'int', 'int', 'int', 'out']],
  CreateCpuMemoryInfo: [69, 'status', ['int', 'int', 'out']],
  AllocatorAlloc: [75, 'status', ['pointer', 'size', 'out']],
  AllocatorFree: [76, 'status', ['pointer', 'pointer']],
  GetAllocatorWithDefaultOptions: [78, 'status', ['out']],
  ReleaseStatus: [93, 'void', ['pointer']],
  ReleaseMemoryInfo: [94, 'void', ['pointer']],
  ReleaseSession: [95, 'void', ['pointer']],
  ReleaseValue: [96, 'void', ['pointer']],
  ReleaseRunOptions: [97, 'void', ['pointer']],
  ReleaseSessionOptions: [100, 'void', ['pointer']],
  AddSessionConfigEntry: [130, 'status', ['pointer', 'string', 'string']],
  CreateAllocator: [131, 'status', ['pointer', 'pointer', 'out']],
  ReleaseAllocator: [132, 'void', ['pointer']],
  RunWithBinding: [133, 'status', ['pointer', 'pointer', 'pointer']],
  CreateIoBinding: [134, 'status', ['pointer', 'out']],
  ReleaseIoBinding: [135, 'void', ['pointer']],
  BindInput: [136, 'status', ['pointer', 'string', 'pointer']],
  BindOutput: [137, 'status', ['pointer', 'string', 'pointer']],
  AddRunConfigEntry: [165, 'status', ['pointer', 'string', 'string']],
  SynchronizeBoundInputs: [202, 'status', ['pointer']],
  SessionOptionsAppendExecutionProvider_CUDA_V2: [204, 'status', ['pointer', 'pointer']],
  CreateCUDAProviderOptions: [205, 'status', ['out']],
  UpdateCUDAProviderOptions: [206, 'status', ['pointer', 'strings', 'strings', 'size']],
  ReleaseCUDAProviderOptions: [208, 'void', ['pointer']],
  SessionOptionsSetLoadCancellationFlag: [293, 'status', ['pointer', 'int']]
} as const satisfies Record<string, Entry>

type Functions = typeof functions
type Name = keyof Functions

interface Values {
  pointer: Pointer | ArrayBufferView
  string: string
  strings: readonly string[]
  int: number
  size: number
  out: [Pointer | null]
}
type Arguments<Kinds extends readonly Kind[]> = { [K in keyof Kinds]: Values[Kinds[K] & Kind] }

type EndsWithOut<N extends Name> = Functions[N][2] extends readonly [...Kind[], 'out'] ? N : never
type Returns<N extends Name, R extends Result> = Functions[N][1] extends R ? N : never
type WithoutOut<Kinds extends readonly Kind[]> = Kinds extends readonly [...infer Head extends Kind[], 'out']
  ? Head
  : Kinds

/** Functions that return a status and hand out an address as their last parameter. */
export type Creator = { [N in Name]: EndsWithOut<N> }[Name]
/** Functions that return nothing but a status. */
export type Command = Exclude<{ [N in Name]: Returns<N, 'status'> }[Name], Creator>
export type Releaser = { [N in Name]: Returns<N, 'void'> }[Name]

export type CreatorArguments<N extends Creator> = Arguments<WithoutOut<Functions[N][2]>>
export type CommandArguments<N extends Command> = Arguments<Functions[N][2]>

/** As koffi gives it: called here, or with a callback on a thread of libuv's pool. */
interface NativeFunction {
  (...args: readonly unknown[]): unknown
  async(...args: readonly unknown[]): void
}
export type FunctionTable = Readonly<Record<Name, NativeFunction>>

/** Gives each entry of the table at `api` its C prototype. */
export function bindFunctions(koffi: typeof Koffi, api: Pointer): FunctionTable {
  const types = {
    pointer: 'void *',
    string: 'const char *',
    strings: 'const char **',
    int: 'int',
    size: 'size_t',
    status: 'void *',
    void: 'void',
    out: koffi.out(koffi.pointer('void *'))
  }
  const entries: [string, Entry][] = Object.entries(functions)
  const length = Math.max(...entries.map(([, [index]]) => index)) + 1
  const addresses = koffi.decode(api, koffi.array('void *', length)) as Pointer[]
  const bound = entries.map(([name, [index, result, parameters]]) => {
    const prototype = koffi.proto(
      types[result],
      parameters.map(kind => types[kind])
    )
    return [name, koffi.decode(addresses[index], prototype) as NativeFunction]
  })
  return Object.fromEntries(bound) as FunctionTable
}
