import { toAndthenError } from '../base/index.ts'
import type { Answer, Calls, Request } from './child-calls.ts'

type Handlers<C extends Calls<C>> = {
  [K in keyof C]: (argument: Parameters<C[K]>[0]) => ReturnType<C[K]> | Promise<Awaited<ReturnType<C[K]>>>
}

/** Makes this process the child that `Child` starts: answers what it is asked, and ends with its parent, however that ends. */
export function answerParent<C extends Calls<C>>(handlers: Handlers<C>): void {
  const answer = async ({ id, call, argument }: Request): Promise<Answer> => {
    try {
      const result = await (handlers[call as keyof C] as (argument: unknown) => unknown)(argument)
      return { id, result: result ?? null }
    } catch (thrown) {
      const { code, message } = toAndthenError(thrown)
      return { id, error: { code, message } }
    }
  }
  process.on('message', (request: Request) => {
    void answer(request).then(message => process.send?.(message))
  })
  process.on('disconnect', () => process.exit(0))
  // A terminal's Ctrl-C reaches the whole group: the parent decides when this process ends.
  process.on('SIGINT', () => undefined)
}
