import { describe, expect, it } from 'vitest'
import { NotAvailableError, UsageError } from '../../src/base/index.ts'
import { flagName, list, readFlags, texts, toggle, value, variableName } from '../../src/cli/flags.ts'
import { parseCount } from '../../src/cli/quantities.ts'

const flags = {
  maxSessions: value('N', '', parseCount(1)),
  listen: list('ADDR', '', text => text),
  stop: texts('TEXT', ''),
  json: toggle('')
}

describe('names', () => {
  it.each([
    ['json', '--json', 'ANDTHEN_JSON'],
    ['maxNewTokens', '--max-new-tokens', 'ANDTHEN_MAX_NEW_TOKENS'],
    ['topP', '--top-p', 'ANDTHEN_TOP_P']
  ])('%s is %s and %s', (key, flag, variable) => {
    expect(flagName(key)).toBe(flag)
    expect(variableName(key)).toBe(variable)
  })
})

describe('where values come from', () => {
  const environment = { ANDTHEN_MAX_SESSIONS: '3', ANDTHEN_LISTEN: 'a, b', ANDTHEN_JSON: 'yes', ANDTHEN_STOP: 'x,y' }

  it('takes the command line over the environment', () => {
    expect(readFlags(flags, { maxSessions: ['5'] }, environment).maxSessions).toBe(5)
  })

  it('takes the environment where the command line says nothing', () => {
    expect(readFlags(flags, {}, environment)).toEqual({ maxSessions: 3, listen: ['a', 'b'], stop: ['x,y'], json: true })
  })

  it('leaves out what neither says, and an empty variable says nothing', () => {
    const nothing = { maxSessions: undefined, listen: undefined, stop: undefined, json: undefined }
    expect(readFlags(flags, {}, { ANDTHEN_MAX_SESSIONS: '', ANDTHEN_JSON: '' })).toEqual(nothing)
  })

  it('takes the last of a flag given twice, and all of a list', () => {
    const given = { maxSessions: ['1', '2'], listen: ['a,b', 'c'], stop: ['one, two', 'three'] }
    const values = readFlags(flags, given, {})
    expect(values).toMatchObject({ maxSessions: 2, listen: ['a', 'b', 'c'], stop: ['one, two', 'three'] })
  })
})

describe('what is wrong', () => {
  it('is told with the flag, or the variable, that it came from', () => {
    expect(() => readFlags(flags, { maxSessions: ['x'] }, {})).toThrow('--max-sessions: "x"')
    expect(() => readFlags(flags, {}, { ANDTHEN_MAX_SESSIONS: 'x' })).toThrow('ANDTHEN_MAX_SESSIONS: "x"')
    expect(() => readFlags(flags, {}, { ANDTHEN_JSON: 'maybe' })).toThrow(UsageError)
  })

  it('is told with the flag, too, where the version lacks something', () => {
    const later = value('X', '', () => {
      throw new NotAvailableError('cuda')
    })
    const read = (): unknown => readFlags({ later }, { later: ['cuda'] }, {})
    expect(read).toThrow(NotAvailableError)
    expect(read).toThrow('--later: cuda is not available in this version')
  })

  it.each(['', ' , ', ','])('a list of "%s" is none', text => {
    expect(() => readFlags(flags, { listen: [text] }, {})).toThrow('holds no value: give ADDR, or leave it out')
  })
})
