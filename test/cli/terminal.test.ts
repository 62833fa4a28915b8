import { expect, it } from 'vitest'
import { UsageError } from '../../src/base/index.ts'
import { decodeText } from '../../src/cli/terminal.ts'

it('stdin is taken as it is where it is UTF-8, and refused where it is not', () => {
  expect(decodeText(Buffer.from('ROMEO:\n…'))).toBe('ROMEO:\n…')
  expect(() => decodeText(Uint8Array.of(0x52, 0xff, 0x4f))).toThrow(UsageError)
})
