import { expect, test } from 'vitest'
import type { Api } from '../../src/runtime/c-api/api.ts'
import { RunOptionsSet } from '../../src/runtime/c-api/run-options.ts'

/** What was asked of ONNX Runtime, with the number of the options that it was asked of. */
function recorded(replays: boolean) {
  const calls: string[] = []
  let created = 0n
  const call = (name: string, options: bigint, ...rest: readonly string[]) =>
    calls.push([name, options, ...rest].join(' '))
  const api = { create: () => ++created, call, release: call } as unknown as Api
  return { calls, options: new RunOptionsSet(api, replays) }
}

test('each graph that is replayed has options of its own, by its number', () => {
  const { calls, options } = recorded(true)
  expect([options.begin(7), options.begin(undefined), options.begin(9), options.begin(7)]).toEqual([2n, 1n, 3n, 2n])
  expect(calls.filter(each => each.startsWith('AddRunConfigEntry'))).toEqual([
    'AddRunConfigEntry 1 gpu_graph_id -1',
    'AddRunConfigEntry 2 gpu_graph_id 7',
    'AddRunConfigEntry 3 gpu_graph_id 9'
  ])
  options.close()
  expect(calls.filter(each => each.startsWith('ReleaseRunOptions'))).toHaveLength(3)
})

test('without replays all runs have the same', () => {
  const { calls, options } = recorded(false)
  expect([options.begin(7), options.begin(undefined)]).toEqual([1n, 1n])
  expect(calls.join()).not.toContain('gpu_graph_id')
})

test.each([
  { run: 'that is not replayed ends early', replays: true, id: undefined, asked: 1 },
  { run: 'of a device that replays none ends early', replays: false, id: 7, asked: 1 },
  { run: 'that may be recorded ends in its own time, lest half of it be replayed', replays: true, id: 7, asked: 0 }
])('a run $run', ({ replays, id, asked }) => {
  const { calls, options } = recorded(replays)
  options.begin(id)
  options.terminate()
  expect(calls.filter(each => each.startsWith('RunOptionsSetTerminate'))).toHaveLength(asked)
})
