import type { HostedSession } from '../hosted/hosted-session.ts'
import { PushCredit } from './push-credit.ts'

/** One session attached to one incoming stream. */
export class PushAttachment {
  readonly hosted: HostedSession
  readonly credit: PushCredit
  /** More is granted later: too much came in vain. */
  withheld = false

  constructor(hosted: HostedSession, init: { windowBytes: number }) {
    this.hosted = hosted
    this.credit = new PushCredit(init)
  }
}
