import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const prefix = 'andthen_'

type Labels = Readonly<Record<string, string>>

interface MetricInit<L extends string> {
  /** Without the prefix; ends in `_total`, `_seconds`, `_bytes` or a plain noun. */
  readonly name: string
  readonly help: string
  /** Never a peer id: whoever scrapes learns no one's habits, and series stay few. @default none */
  readonly labels?: readonly L[]
}

/** Values of a gauge at the time of a scrape, one for each set of labels. */
type Readings<L extends string> = () => Iterable<{ readonly labels: Record<L, string>; readonly value: number }>

/** A process's metrics. Rooms below get the plain functions that these return, and know no metrics library. */
export interface Metrics {
  /** Counts up, by 1 unless told otherwise. */
  counter<L extends string = never>(init: MetricInit<L>): (labels: Record<L, string>, by?: number) => void
  /** Takes observations; `buckets` are upper bounds, in the unit of the name. */
  histogram<L extends string = never>(
    init: MetricInit<L> & { readonly buckets: readonly number[] }
  ): (labels: Record<L, string>, value: number) => void
  /** Asked at each scrape, so that nobody has to keep it up to date. */
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
    counter(init) {
      const counter = new Counter(config(init))
      return (labels: Labels, by = 1) => counter.inc({ ...labels }, by)
    },
    histogram(init) {
      const histogram = new Histogram({ ...config(init), buckets: [...init.buckets] })
      return (labels: Labels, value) => histogram.observe({ ...labels }, value)
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
