import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { readServerMetrics } from '../../src/bench/flood/server-metrics.ts'

test('of a node’s metrics those that a flood is judged by, summed over labels', async () => {
  const text = [
    '# HELP andthen_pushes_ignored_total Pushes that changed nothing, by reason',
    'andthen_pushes_ignored_total{reason="shape"} 3',
    'andthen_pushes_ignored_total{reason="not-attached"} 4',
    'andthen_process_resident_memory_bytes 1.5e6',
    'andthen_process_cpu_seconds_total 2.25'
  ].join('\n')
  const server = createServer((_, response) => response.end(text)).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  expect(await readServerMetrics(`http://127.0.0.1:${port}`)).toEqual({
    memoryBytes: 1.5e6,
    cpuSeconds: 2.25,
    pushesIgnored: 7
  })
})
