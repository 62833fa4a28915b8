import { ServerProcess } from './processes.ts'

/** From starting a server's process until it serves, ms; `starts` times, one after the other. */
export async function timeReady(args: readonly string[], starts: number): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < starts; i++) {
    const begun = performance.now()
    const server = await ServerProcess.start({ arguments: args })
    times.push(performance.now() - begun)
    await server.stop()
  }
  return times
}
