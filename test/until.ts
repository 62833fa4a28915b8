import { TestRunner } from 'vitest'

/**
 * Asks again, at each turn of the event loop, until the answer is yes; the test's own time limit ends it. Where the test
 * fails before, or is over, whoever waits is left waiting: what it would do then would happen to the next test.
 */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  const test = TestRunner.getCurrentTest()
  const failed = (): boolean => test?.result?.state === 'fail'
  // Hooks that clean up wait, too.
  const hadFailed = failed()
  while (!(await condition())) {
    if (TestRunner.getCurrentTest() !== test || failed() !== hadFailed) await new Promise(() => undefined)
    await new Promise(resolve => setImmediate(resolve))
  }
}
