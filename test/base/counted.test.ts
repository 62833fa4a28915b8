import { expect, it } from 'vitest'
import { counted } from '../../src/base/index.ts'

it('one is not many', () => {
  expect([0, 1, 2].map(count => counted(count, 'token'))).toEqual(['0 tokens', '1 token', '2 tokens'])
})
