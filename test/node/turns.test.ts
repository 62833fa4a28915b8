import { expect, it } from 'vitest'
import { tableInit } from '../../src/node/serve-sessions.ts'

it.each([
  { blocks: [0, 4] as const, does: 'gives turns', follows: false },
  { blocks: [4, 8] as const, does: 'follows those before it', follows: true }
])('a server of blocks $blocks $does', ({ blocks, follows }) => {
  expect(tableInit({}, { blocks, maxSessions: 2 })).toMatchObject({ follows })
})
