import { expect, test } from 'vitest'
import { plainMessage } from '../../src/runtime/c-api/api.ts'

/** As ONNX Runtime 1.30.0 said it, where the driver was too old. */
const driver = `/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc:62 static onnxruntime::CUDAExecutionProviderInfo onnxruntime::CUDAExecutionProviderInfo::FromProviderOptions(const onnxruntime::ProviderOptions&) [ONNXRuntimeError] : 1 : FAIL : provider_options_utils.h:187 Parse Failed to parse provider option "device_id": CUDA failure 36: API call is not supported in the installed CUDA driver ; GPU=-1 ; hostname=vm ; file=/onnxruntime_src/onnxruntime/core/providers/cuda/cuda_execution_provider_info.cc ; line=69 ; expr=cudaGetDeviceCount(&num_devices); \n\n`

test.each([
  [
    driver,
    'provider_options_utils.h:187 Parse Failed to parse provider option "device_id": CUDA failure 36: API call is not supported in the installed CUDA driver'
  ],
  [
    "Non-zero status code returned while running Cast node. Name:'a' Status Message: CUDA error 209\n",
    "Non-zero status code returned while running Cast node. Name:'a' Status Message: CUDA error 209"
  ],
  ['/src/bfc_arena.cc:359 Available memory of 0 is smaller', 'Available memory of 0 is smaller'],
  ['Invalid input name: x', 'Invalid input name: x']
])('what ONNX Runtime says is a line without paths and hosts: %#', (message, plain) => {
  expect(plainMessage(message)).toBe(plain)
})
