import { buffer } from 'node:stream/consumers'
import { styleText, TextDecoder } from 'node:util'
import { UsageError } from '../base/index.ts'

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
  /** All of stdin. @throws UsageError where it is not UTF-8 */
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
    input: async () => decodeText(await buffer(stdin)),
    outIsTTY: stdout.isTTY,
    errIsTTY: stderr.isTTY
  }
}

/** What is no text is refused: with its bytes replaced by others it would be another text. @throws UsageError */
export function decodeText(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (cause) {
    throw new UsageError('stdin is not UTF-8: give the text in UTF-8, as iconv makes it', { cause })
  }
}
