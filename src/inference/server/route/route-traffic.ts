import { RequestError } from '../../errors.ts'

/** Hidden states that one route sends on: so many bytes in all, and so many under way at once. */
export class RouteTraffic {
  #bytesLeft: number
  readonly #mostUnderWay: number
  /** Bytes of input of the passes that are not retired, by step; what they take at each boundary is as much. */
  readonly #underWay = new Map<number, number>()
  #bytesUnderWay = 0

  constructor(init: { bytesQuota: number; mostUnderWay: number }) {
    this.#bytesLeft = init.bytesQuota
    this.#mostUnderWay = init.mostUnderWay
  }

  /** A pass is about to be sent on; returns why it may not: QUOTA. */
  begin(step: number, bytes: number): RequestError | null {
    this.#bytesLeft -= bytes
    if (this.#bytesLeft < 0)
      return new RequestError('QUOTA', 'the route has carried the bytes that its owner asked for')
    const most = this.#mostUnderWay
    if (this.#bytesUnderWay + bytes > most)
      return new RequestError('QUOTA', `more than ${most} bytes of hidden states under way in the route at once`)
    this.#underWay.set(step, bytes)
    this.#bytesUnderWay += bytes
    return null
  }

  /** Nothing of this pass is waited for any more. */
  retire(step: number): void {
    this.#bytesUnderWay -= this.#underWay.get(step) ?? 0
    this.#underWay.delete(step)
  }

  /** The epoch is over. */
  clear(): void {
    this.#underWay.clear()
    this.#bytesUnderWay = 0
  }
}
