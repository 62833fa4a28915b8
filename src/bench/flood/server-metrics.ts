/** A node's metrics at one time, as its admin port tells them. */
export interface ServerMetrics {
  /** Resident. */
  readonly memoryBytes: number
  readonly cpuSeconds: number
  /** Pushes that changed nothing, of all reasons, in sessions that are over and outside of any. */
  readonly pushesIgnored: number
}

/** @param admin base URL of the node's admin port */
export async function readServerMetrics(admin: string): Promise<ServerMetrics> {
  const text = await (await fetch(`${admin}/metrics`)).text()
  return {
    memoryBytes: total(text, 'andthen_process_resident_memory_bytes'),
    cpuSeconds: total(text, 'andthen_process_cpu_seconds_total'),
    pushesIgnored: total(text, 'andthen_pushes_ignored_total')
  }
}

/** The sum of a metric over its labels, in Prometheus's text format. */
function total(text: string, name: string): number {
  return text
    .split('\n')
    .filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)
}
