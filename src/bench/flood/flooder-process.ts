import '../../base/polyfill.ts'
import { answerParent } from '../child-answers.ts'
import type { FloodCalls, FloodCounts } from './flood-calls.ts'
import { Flooder } from './flooder.ts'

// A process of its own: what a flood costs whoever makes it is nobody's but the machine's.

const none: FloodCounts = { sent: 0, withheld: 0, streams: 0, ended: 0, elapsedMs: 0 }
let flooder: Flooder | null = null
answerParent<FloodCalls>({
  start: async request => {
    flooder = await Flooder.start(request)
    return null
  },
  stop: async () => {
    const counts = (await flooder?.stop()) ?? none
    flooder = null
    return counts
  }
})
