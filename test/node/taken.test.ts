import { expect, test } from 'vitest'
import { Taken } from '../../src/node/taken.ts'

test('what was taken is given back once, the last first, whatever fails on the way; the first failure is told', async () => {
  const given: string[] = []
  const taken = new Taken()
  const take = (name: string, failure?: Error): void =>
    taken.push(() => {
      given.push(name)
      return failure === undefined ? Promise.resolve() : Promise.reject(failure)
    })
  take('network')
  take('server', new Error('second'))
  take('client', new Error('first'))
  const both = [taken.giveBack(), taken.giveBack()]
  for (const giving of both) await expect(giving).rejects.toThrow('first')
  await expect(taken.giveBack(), 'later too').rejects.toThrow('first')
  expect(given).toEqual(['client', 'server', 'network'])
})
