import { expect, test } from 'vitest'
import { plainMessage } from '../../src/runtime/c-api/api.ts'

/** As ONNX Runtime 1.30.0 said it, where the driver was too old. */
const driver = `/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:62 static onnxruntime::CUDAExecutionProviderInfo onnxruntime::CUDAExecutionProviderInfo::FromProviderOptions(const onnxruntime::ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:187 Parse Failed to parse provider option "device_id": CUDA failure 36: API call is not supported in the installed CUDA driver ; GPU=-1 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc ; line=69 ; expr=cudaGetDeviceCount(&num_devices); \n\n`

/** As 1.27.0 said it where a stream was waited for on which a kernel had failed. */
const signature = `std::conditional_t<THRW, void, onnxruntime::common::Status> onnxruntime::CudaCall(ERRTYPE, const char*, const char*, SUCCTYPE, const char*, const char*, int) [with ERRTYPE = cudaError; bool THRW = true; SUCCTYPE = cudaError; std::conditional_t<THRW, void, common::Status> = void]`
const call = '/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_call.cc'
const thrown = `${call}:121 ${signature} ${call}:114 ${signature} CUDA failure 700: an illegal memory access was encountered ; GPU=0 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_stream_handle.cc ; line=135 ; expr=cudaStreamSynchronize(static_cast<cudaStream_t>(GetHandle())); \n\n`

test.each([
  [thrown, 'CUDA failure 700: an illegal memory access was encountered'],
  [
    driver,
    'provider_options_utils.h:187 Parse Failed to parse provider option "device_id": CUDA failure 36: API call is not supported in the installed CUDA driver'
  ],
  [
    "Non-zero status code returned while running Cast node. Name:'a' Status Message: CUDA error 209\n",
    "Non-zero status code returned while running Cast node. Name:'a' Status Message: CUDA error 209"
  ],
  [
    '/onnxruntime_src/onnxruntime/core/framework/bfc_arena.cc:362 void* onnxruntime::BFCArena::AllocateRawInternal(size_t, bool, onnxruntime::Stream*) Failed to allocate memory for requested buffer of size 525312\n',
    'Failed to allocate memory for requested buffer of size 525312'
  ],
  ['/src/bfc_arena.cc:359 Available memory of 0 is smaller', 'Available memory of 0 is smaller'],
  ['Invalid input name: x', 'Invalid input name: x']
])('what ONNX Runtime says is a line without paths and hosts: %#', (message, plain) => {
  expect(plainMessage(message)).toBe(plain)
})
