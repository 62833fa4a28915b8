import type { RelayAnswer, RelayCalls, RelayRequest } from './relay-requests.ts'
import { Schedule } from './schedule.ts'
import { ShapedLink } from './shaped-link.ts'

// The relay's process: all links of a laboratory, apart from processes that compute, so that its timers are not theirs
// to disturb. Ends with its parent, however that ends.

const schedule = new Schedule()
const links = new Map<number, ShapedLink>()

function at(link: number): ShapedLink {
  const found = links.get(link)
  if (found === undefined) throw new Error(`no link has port ${link}: it was closed`)
  return found
}

const calls: { [C in keyof RelayCalls]: (argument: Parameters<RelayCalls[C]>[0]) => unknown } = {
  async open(init) {
    const link = new ShapedLink(init, schedule)
    const port = await link.listen()
    links.set(port, link)
    return port
  },
  set: ({ link, shape, directions }) => at(link).set(shape, directions),
  blackhole: ({ link, directions }) => at(link).blackhole(directions),
  reset: ({ link }) => at(link).reset(),
  halfOpen: ({ link, gone }) => at(link).halfOpen(gone),
  stats: ({ link }) => at(link).stats(),
  async close({ link }) {
    const closing = at(link)
    links.delete(link)
    await closing.close()
  }
}

async function answer({ id, call, argument }: RelayRequest): Promise<RelayAnswer> {
  try {
    const result = await (calls[call] as (argument: unknown) => unknown)(argument)
    return { id, result: result ?? null }
  } catch (error) {
    return { id, error: error instanceof Error ? error.message : String(error) }
  }
}

process.on('message', (request: RelayRequest) => {
  void answer(request).then(message => process.send?.(message))
})
process.on('disconnect', () => process.exit(0))
// A terminal's Ctrl-C reaches the whole group: the parent decides when the links end.
process.on('SIGINT', () => undefined)
