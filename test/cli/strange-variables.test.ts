import { expect, it } from 'vitest'
import { generateCommand } from '../../src/cli/generate.ts'
import { serveCommand } from '../../src/cli/serve.ts'
import { strangeVariables } from '../../src/cli/strange-variables.ts'

it('a variable is strange that no flag of any command has', () => {
  const environment = {
    ANDTHEN_BLOKCS: '0-4',
    ANDTHEN_BLOCKS: '0-4',
    ANDTHEN_PROMPT: 'a',
    ANDTHEN_LOG_LEVEL: 'info',
    ANDTHEN_EMPTY: '',
    PATH: '/bin'
  }
  expect(strangeVariables(environment, [serveCommand, generateCommand])).toEqual(['ANDTHEN_BLOKCS'])
  expect(strangeVariables(environment, [serveCommand])).toEqual(['ANDTHEN_BLOKCS', 'ANDTHEN_PROMPT'])
})
