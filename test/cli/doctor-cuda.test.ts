import { describe, expect, it } from 'vitest'
import { describeCuda, placesFor } from '../../src/cli/doctor-cuda.ts'
import { type CudaReport, installCommand } from '../../src/runtime/index.ts'

const found = (name: string) => ({ name, path: `/cuda/${name}` })
const gib = 2 ** 30

const complete: CudaReport = {
  runtime: { version: '1.30.0', library: '/ort/libonnxruntime.so.1.30.0' },
  provider: '/ort/libonnxruntime_providers_cuda.so',
  libraries: [found('libcuda.so.1'), found('libcudart.so.13')],
  folders: ['/ort', '/ort/nvidia/cu13/lib'],
  cudnn: { ...found('libcudnn.so.9'), version: '9.28.1' },
  cudaVersion: '13.0',
  driver: { version: '580.95.05', cudaVersion: '13.0' },
  gpus: [
    { id: 0, name: 'NVIDIA H100', computeCapability: [9, 0], totalBytes: 80 * gib, freeBytes: 70 * gib, problem: null }
  ],
  problem: null
}
const lines = (report: CudaReport): string[] =>
  describeCuda(report).map(({ about, state, says }) => `${state} ${about}: ${says}`)

describe('doctor on CUDA', () => {
  it('tells versions, memory and where every library lies', () => {
    expect(lines(complete)).toEqual([
      'ok NVIDIA driver: 580.95.05, runs CUDA up to 13.0',
      'ok cuda:0: NVIDIA H100, compute capability 9.0, 70.0 GiB free of 80.0 GiB',
      'ok CUDA provider: /ort/libonnxruntime_providers_cuda.so, with CUDA 13.0',
      'ok libcuda.so.1: /cuda/libcuda.so.1',
      'ok libcudart.so.13: /cuda/libcudart.so.13',
      'ok libcudnn.so.9: /cuda/libcudnn.so.9, cuDNN 9.28.1; spans do without',
      'ok CUDA: can be used, a trial says: serve --device cuda:0, which auto takes'
    ])
  })

  it('tells what is missing, where it was looked for, and the command that installs it', () => {
    const problem = 'the CUDA provider lacks libcudart.so.13 (not found)'
    const libraries = [found('libcuda.so.1'), { name: 'libcudart.so.13', path: null, problem: 'not found' }]
    const cudnn = { name: 'libcudnn.so.9', path: null, version: null }
    const told = lines({ ...complete, libraries, cudnn, cudaVersion: null, problem })
    expect(told).toEqual(
      expect.arrayContaining([
        'note libcudart.so.13: not found',
        'note libcudnn.so.9: not found; spans do without',
        "note CUDA libraries: looked for in /ort, /ort/nvidia/cu13/lib, and by the system's loader",
        `note CUDA: cannot be used: ${problem}`,
        `note CUDA libraries: all but the driver is installed by: ${installCommand('1.30.0')}`
      ])
    )
  })

  it('asks nobody to install what only the driver brings', () => {
    const libraries = [{ name: 'libcuda.so.1', path: null, problem: 'not found' }, found('libcudart.so.13')]
    const driver = { version: null, cudaVersion: null }
    const told = lines({ ...complete, libraries, driver, gpus: [], problem: 'no NVIDIA driver is installed' })
    expect(told).toContain(
      'note NVIDIA driver: none: where there is a GPU, install it, 580 or later; a container is given it as it is started (docker run --gpus all)'
    )
    expect(told.join('\n')).not.toContain('pip install')
  })

  it('tells a driver that does not start, and one whose library is missing, from none', () => {
    const driver = { version: null, cudaVersion: null }
    expect(lines({ ...complete, driver })).toContain('note NVIDIA driver: of unknown version, and does not start')
    const libraries = [{ name: 'libcuda.so.1', path: null, problem: 'not found' }]
    const without = { ...complete, libraries, driver: { ...driver, version: '580.95.05' } }
    expect(lines(without)[0]).toContain('note NVIDIA driver: 580.95.05, without its libcuda.so.1: install that, too')
  })

  it('tells of a driver that is too old before something is installed for it', () => {
    const driver = { version: '535.183.01', cudaVersion: '12.2' }
    const told = lines({ ...complete, driver, provider: null, libraries: [], problem: 'none beside ONNX Runtime' })
    const [before, install] = told.slice(-3)
    expect(before).toContain('the NVIDIA driver runs CUDA up to 12.2')
    expect(before).toContain('update the driver to 580 or later')
    expect(install).toContain('pip install')
    expect(lines({ ...complete, provider: null }).join()).not.toContain('update the driver')
  })

  it('counts blocks into the memory that was free before it tried a GPU out', () => {
    const [h100] = complete.gpus
    const broken = { ...h100!, id: 1, problem: 'no kernel image' }
    const unasked = { ...h100!, id: 2, freeBytes: null }
    expect(placesFor({ ...complete, gpus: [h100!, broken, unasked] })).toEqual([{ device: 'cuda:0', memory: 70 * gib }])
  })

  it('names a GPU that computes nothing, and the first one that does', () => {
    const [h100] = complete.gpus
    const b200 = { ...h100!, name: 'NVIDIA B200', computeCapability: [10, 0], problem: 'no kernel image' } as const
    const both = lines({ ...complete, gpus: [b200, { ...h100!, id: 1 }] })
    expect(both).toContain(
      'note cuda:0: NVIDIA B200 (compute capability 10.0, 71680 of 81920 MiB free) computes nothing: no kernel image'
    )
    expect(both).toContain('ok CUDA: can be used, a trial says: serve --device cuda:1, which auto takes')
    expect(lines({ ...complete, gpus: [b200] })).toContain('note CUDA: cannot be used: no GPU here computes')
  })
})
