import type { BenchReport, VariantResult } from './report.ts'

const width = 760
const rowHeight = 34
const margin = { left: 150, right: 90, top: 56, bottom: 56 }

// Colours follow the reader's theme, also where the file is shown as an image.
const style = `
  svg { --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --dot: #0550ae; --floor: #bc4c00; background: #ffffff; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e6edf3; --soft: #9198a1; --line: #3d444d; --dot: #79c0ff; --floor: #ffa657; background: #0d1117; }
  }
  text { font: 12px system-ui, sans-serif; fill: var(--ink); }
  .title { font-size: 15px; font-weight: 600; }
  .soft { fill: var(--soft); }
  .grid { stroke: var(--line); }
  .interval { stroke: var(--dot); stroke-width: 3; }
  .dot { fill: var(--dot); }
  .floor { stroke: var(--floor); stroke-width: 2; stroke-dasharray: 5 3; }
  .own { stroke: var(--floor); stroke-width: 2; }`

/**
 * Milliseconds a step by variant, as a standalone SVG: a dot for the mean, a bar for its 95% interval, a tick for the
 * floor of the variant's own route, and a dashed line for the floor of the topology. Variants without a figure have no dot.
 */
export function plotSteps(report: BenchReport): string {
  const { results } = report
  const largest = Math.max(
    1,
    ...results.flatMap(r => [r.stepMs.mean, r.ci95?.[1], r.floorMs, r.routeFloorMs].map(v => v ?? 0))
  )
  const step = tickStep(largest)
  const end = Math.ceil((largest * 1.02) / step) * step
  const bottom = margin.top + results.length * rowHeight
  const x = (ms: number): number => margin.left + (ms / end) * (width - margin.left - margin.right)
  const at = (ms: number): string => x(ms).toFixed(1)
  const ticks = Array.from({ length: Math.round(end / step) + 1 }, (_, i) => i * step)
  const floor = results.find(result => result.floorMs !== null)?.floorMs ?? null
  const { delayMs } = report.link.nominal
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${bottom + margin.bottom}" role="img">
<title>${escape(report.command)}: ms a step by route</title>
<style>${style}</style>
<text class="title" x="16" y="24">${escape(report.command)}: milliseconds a step</text>
<text class="soft" x="16" y="42">${escape(`${report.model.id}, link ${report.link.kind}, ${delayMs} ms each way; dot: mean, bar: 95% interval over runs`)}</text>
${ticks.map(ms => `<line class="grid" x1="${at(ms)}" x2="${at(ms)}" y1="${margin.top}" y2="${bottom}"/><text class="soft" x="${at(ms)}" y="${bottom + 16}" text-anchor="middle">${label(ms)}</text>`).join('\n')}
${floor === null ? '' : `<line class="floor" x1="${at(floor)}" x2="${at(floor)}" y1="${margin.top}" y2="${bottom}"/><text x="${at(floor)}" y="${bottom + 44}" text-anchor="middle">floor ${label(floor)} ms</text>`}
${results.map((result, i) => row(result, margin.top + (i + 0.5) * rowHeight, at)).join('\n')}
<text class="soft" x="${x(end)}" y="${bottom + 44}" text-anchor="end">time of a step (ms)</text>
</svg>
`
}

function row(result: VariantResult, y: number, at: (ms: number) => string): string {
  const { stepMs, ci95, routeFloorMs } = result
  const name = `<text x="${margin.left - 10}" y="${y + 4}" text-anchor="end">${escape(`${result.route}, ${result.verify}`)}</text>`
  const own =
    routeFloorMs === null
      ? ''
      : `<line class="own" x1="${at(routeFloorMs)}" x2="${at(routeFloorMs)}" y1="${y - 10}" y2="${y + 10}"/>`
  if (stepMs.mean === null)
    return `${name}${own}<text class="soft" x="${margin.left + 8}" y="${y + 4}">no run succeeded</text>`
  const interval =
    ci95 === null ? '' : `<line class="interval" x1="${at(ci95[0])}" x2="${at(ci95[1])}" y1="${y}" y2="${y}"/>`
  const value = `<text x="${width - 16}" y="${y + 4}" text-anchor="end">${label(stepMs.mean)} ms</text>`
  return `${name}${own}${interval}<circle class="dot" cx="${at(stepMs.mean)}" cy="${y}" r="5"/>${value}`
}

/** 1, 2 or 5 times a power of ten, for four to ten ticks. */
function tickStep(largest: number): number {
  const power = 10 ** Math.floor(Math.log10(largest / 4))
  return power * ([1, 2, 5].find(factor => largest / (factor * power) <= 10) ?? 10)
}

function label(ms: number): string {
  return String(Number(ms.toPrecision(4)))
}

function escape(text: string): string {
  return text.replace(/[<>&"]/g, character => `&#${character.charCodeAt(0)};`)
}
