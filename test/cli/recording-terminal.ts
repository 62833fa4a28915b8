import type { Terminal } from '../../src/cli/terminal.ts'

/** A console without colours that keeps what it is given. */
export function recordingTerminal(input = ''): Terminal & { readonly written: { out: string; err: string } } {
  const written = { out: '', err: '' }
  return {
    written,
    out: text => (written.out += text),
    err: text => (written.err += text),
    status: () => undefined,
    paint: (_stream, _style, text) => text,
    input: async () => input,
    outIsTTY: false,
    errIsTTY: false
  }
}
