import { CancelledError, silentLogger, systemClock } from '../../base/index.ts'
import type { Candidate } from '../../client/index.ts'
import { openSession } from '../../inference/index.ts'
import { createIdentity, createNetwork, type Network } from '../../network/index.ts'
import { Stepper } from './stepper.ts'

export interface AbandonInit {
  readonly server: Candidate
  readonly modelDigest: Uint8Array
  readonly hiddenSize: number
}

/** Peers that sessions are opened by: no server lets one peer have as many streams as there are sessions. */
const peers = 16
/** Of each peer. */
const sessionsAtOnce = 2

/** Clients that open sessions, fill them a little, and go without a word. */
export class Deserters {
  readonly #init: AbandonInit
  readonly #networks: readonly Network[]

  private constructor(init: AbandonInit, networks: readonly Network[]) {
    this.#init = init
    this.#networks = networks
  }

  static async start(init: AbandonInit): Promise<Deserters> {
    const networks = Array.from({ length: peers }, async () => createNetwork({ identity: await createIdentity() }))
    return new Deserters(init, await Promise.all(networks))
  }

  /** Opens so many sessions and abandons each after a step. */
  async abandon(sessions: number): Promise<void> {
    let left = sessions
    const desert = async (network: Network): Promise<void> => {
      while (left-- > 0) await this.#desert(network)
    }
    const all = this.#networks.flatMap(network => Array.from({ length: sessionsAtOnce }, () => desert(network)))
    await Promise.all(all)
  }

  async close(): Promise<void> {
    await Promise.all(this.#networks.map(network => network.close()))
  }

  async #desert(network: Network): Promise<void> {
    const { server, modelDigest, hiddenSize } = this.#init
    const { target, from, to } = server
    const session = await openSession(
      { network, clock: systemClock, logger: silentLogger },
      { peer: target, modelDigest, from, to, verify: 'none', maxLength: 16, maxTensorBytes: 0 }
    )
    await new Stepper(session, hiddenSize).step(4)
    session.abort(new CancelledError('a session that is abandoned'))
  }
}
