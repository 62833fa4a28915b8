import { describe, expect, it } from 'vitest'
import { AndthenError, CancelledError, NotAvailableError, UsageError } from '../../src/base/index.ts'
import { reportError } from '../../src/cli/report.ts'
import { recordingTerminal } from './recording-terminal.ts'

const pretty = { logLevel: 'info', logFormat: 'pretty' } as const

describe('exit statuses', () => {
  it.each([
    [2, new UsageError('x')],
    [2, new NotAvailableError('x')],
    [2, new AndthenError('BLOCKS', 'x')],
    [2, new AndthenError('HOOKS', 'x')],
    [2, new AndthenError('MODEL_NOT_FOUND', 'x')],
    [130, new CancelledError('x')],
    [1, new AndthenError('PEER_UNREACHABLE', 'x')],
    [1, new Error('x')],
    [1, 'x']
  ])('%i for %s', (status, error) => {
    expect(reportError(error, recordingTerminal(), pretty)).toBe(status)
  })
})

describe('what people see', () => {
  const error = new AndthenError('BROKEN', 'first\n  second', { details: { block: 3 }, cause: new Error('deeper') })

  it('is one line', () => {
    const terminal = recordingTerminal()
    reportError(error, terminal, pretty)
    expect(terminal.written).toEqual({ out: '', err: 'error: first second\n' })
  })

  it('tells where, and from what, only when debugging', () => {
    const terminal = recordingTerminal()
    reportError(error, terminal, { logLevel: 'debug', logFormat: 'pretty' })
    expect(terminal.written.err).toMatch(/^ {4}at /m)
    expect(terminal.written.err).toContain('caused by Error: deeper')
  })

  it('is one JSON object for machines', () => {
    const terminal = recordingTerminal()
    reportError(error, terminal, { logLevel: 'info', logFormat: 'json' })
    expect(JSON.parse(terminal.written.err)).toEqual({
      level: 'error',
      code: 'BROKEN',
      details: { block: 3 },
      message: 'first second'
    })
  })
})
