import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'

type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'cyan'

/** The console: results on stdout, everything else on stderr. */
export interface Terminal {
  /** Writes a part of the result. */
  out(text: string): void
  /** Writes for people who watch. */
  err(text: string): void
  /** A line that the next one replaces; an empty one clears it. Nothing where stderr is not a terminal. */
  status(line: string): void
  /** Styled where the stream is a terminal and NO_COLOR is not set. */
  paint(stream: 'out' | 'err', style: Style, text: string): string
  /** All of stdin. */
  input(): Promise<string>
  readonly outIsTTY: boolean
  readonly errIsTTY: boolean
}

/** The process's own console. */
export function processTerminal(): Terminal {
  const { stdin, stdout, stderr } = process
  const colour = !process.env['NO_COLOR']
  let statusShown = false
  const clear = () => {
    if (statusShown) stderr.write('\r\x1b[K')
    statusShown = false
  }
  return {
    out(text) {
      clear()
      stdout.write(text)
    },
    err(text) {
      clear()
      stderr.write(text)
    },
    status(line) {
      if (!stderr.isTTY) return
      clear()
      stderr.write(line.slice(0, Math.max(0, stderr.columns - 1)))
      statusShown = line !== ''
    },
    paint(stream, style, text) {
      const isTTY = stream === 'out' ? stdout.isTTY : stderr.isTTY
      return colour && isTTY ? styleText(style, text) : text
    },
    input: () => text(stdin),
    outIsTTY: stdout.isTTY,
    errIsTTY: stderr.isTTY
  }
}
