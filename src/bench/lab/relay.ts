import { Child } from '../child.ts'
import { programUrl } from '../program.ts'
import { Link, type LinkInit } from './link.ts'
import type { RelayCalls } from './relay-calls.ts'

/** The user-space TCP relay, in a child process of its own. Its links end with it, and it ends with this process. */
export class Relay {
  readonly #child = new Child<RelayCalls>('the link relay', programUrl('relay-process', import.meta.url))

  /** Undefined where the process could not be started. */
  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Opens a port on loopback that leads to `init.target`. @throws {ProcessError} when the relay has ended */
  startLink(init: LinkInit, onClosed: () => Promise<void> = () => Promise.resolve()): Promise<Link> {
    return Link.open(init, this.#child.ask, onClosed)
  }

  /** Ends all links and the process. Safe to call twice, and after it has ended. */
  close(): Promise<void> {
    return this.#child.close()
  }
}

/** One link in a relay of its own, which ends with the link. */
export async function startLink(init: LinkInit): Promise<Link> {
  const relay = new Relay()
  try {
    return await relay.startLink(init, () => relay.close())
  } catch (error) {
    await relay.close()
    throw error
  }
}
