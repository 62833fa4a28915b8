import { UsageError } from '../../base/index.ts'
import { answerParent } from '../child-answers.ts'
import type { RelayCalls } from './relay-calls.ts'
import { Schedule } from './schedule.ts'
import { ShapedLink } from './shaped-link.ts'

// The relay's process: all links of a laboratory, apart from processes that compute, so that its timers are not theirs
// to disturb.

const schedule = new Schedule()
const links = new Map<number, ShapedLink>()

function at(link: number): ShapedLink {
  const found = links.get(link)
  if (found === undefined) throw new UsageError(`no link has port ${link}: it was closed`)
  return found
}

answerParent<RelayCalls>({
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
})
