import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'

const prefix = 'andthen_'

interface MetricInit<L extends string> {
  /** Without the prefix; a counter's ends in `_total`. */
  readonly name: string
  readonly help: string
  /** Never a peer id: whoever scrapes learns no one's habits, and series stay few. @default none */
  readonly labels?: readonly L[]
}

/** Values at the time of a scrape, one for each set of labels. */
type Readings<L extends string> = () => Iterable<{ readonly labels: Record<L, string>; readonly value: number }>

/** A process's metrics, all read when somebody scrapes: rooms below count plainly, and know no metrics library. */
export interface Metrics {
  /** Of what only grows, from 0 when the process starts. */
  counter<L extends string = never>(init: MetricInit<L>, read: Readings<L>): void
  gauge<L extends string = never>(init: MetricInit<L>, read: Readings<L>): void
  /** The exposition, and its content type. */
  exposition(): Promise<{ readonly contentType: string; readonly text: string }>
}

/** @throws Error when a name is registered twice */
export function createMetrics(): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix })
  const config = ({ name, help, labels = [] }: MetricInit<string>) => ({
    name: prefix + name,
    help,
    labelNames: [...labels],
    registers: [registry]
  })
  return {
    counter(init, read) {
      const counter: Counter = new Counter({
        ...config(init),
        collect() {
          counter.reset()
          for (const { labels, value } of read()) counter.inc({ ...labels }, value)
        }
      })
    },
    gauge(init, read) {
      const gauge: Gauge = new Gauge({
        ...config(init),
        collect() {
          gauge.reset()
          for (const { labels, value } of read()) gauge.set({ ...labels }, value)
        }
      })
    },
    exposition: async () => ({ contentType: registry.contentType, text: await registry.metrics() })
  }
}
