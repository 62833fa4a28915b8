import type { Push, Statement } from '../../../../src/wire/index.ts'
import { Bench, inputDigest, type Node, type Owner, settle, type Upstream } from '../bench.ts'
import { statesOf } from '../fake-runner.ts'

export interface Scene {
  bench: Bench
  node: Node
  owner: Owner
  upstream: Upstream
  pushKey: Uint8Array
}

/** A session whose owner named its upstream, which has attached. */
export async function scene(): Promise<Scene> {
  const bench = new Bench()
  const node = await bench.node('server')
  const owner = await bench.session(node, { upstream: 'upstream' })
  const { pushKey } = owner.last('opened')
  const upstream = bench.upstream(node)
  upstream.attach(pushKey)
  await settle()
  return { bench, node, owner, upstream, pushKey }
}

export interface Forgery {
  push?: Partial<Push>
  statement?: Partial<Statement>
  signer?: string
  /** What is sent; the digests name `statesOf(5)`. */
  tensor?: Uint8Array
}

export const states = statesOf(5)

/** An honest push of one token, but for what is forged. */
export function push(
  { node, upstream, pushKey }: Scene,
  { push: fields = {}, statement = {}, signer, tensor = states }: Forgery = {}
): void {
  const { position = 0, step = 0, epoch = 0 } = fields
  const outputDigest = inputDigest(node, position, states)
  const receipt = upstream.receipt({ epoch, step, position, outputDigest, ...statement }, signer)
  upstream.send(
    { kind: 'push', value: { pushKey, epoch, step, position, n: 1, digest: outputDigest, receipt, ...fields } },
    tensor
  )
}
