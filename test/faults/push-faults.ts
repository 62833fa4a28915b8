import { createIdentity, type Identity } from '../../src/network/index.ts'
import { readStatement, type Sign, signReceipt, type Statement } from '../../src/wire/index.ts'
import type { PushedStep, PushFault } from './faulty-network.ts'
import type { FaultyNode } from './swarm.ts'

export const dropAll: PushFault = () => undefined

/** Every tenth push is lost; so often. */
export function dropEveryTenth(): PushFault & { dropped: number } {
  let count = 0
  const fault = (step: PushedStep, forward: (step: PushedStep) => void): void => {
    if (++count % 10 === 0) fault.dropped++
    else forward(step)
  }
  fault.dropped = 0
  return fault
}

/** A push sets out when the next one does: by then the receiver had its input from the owner. The last one never does. */
export function delay(): PushFault {
  const waiting = new Map<string, () => void>()
  return (step, forward) => {
    const key = Buffer.from(step.push.pushKey).toString('hex')
    waiting.get(key)?.()
    waiting.set(key, () => forward(step))
  }
}

export const duplicate: PushFault = (step, forward) => {
  forward(step)
  forward(step)
}

/** Of each `count` pushes the last comes first. */
export function reverse(count: number): PushFault {
  const waiting: PushedStep[] = []
  return (step, forward) => {
    waiting.push(step)
    if (waiting.length === count) for (const held of waiting.splice(0).reverse()) forward(held)
  }
}

/**
 * From step `from` on, tells the next server something else than the client, with a digest and a receipt that fit.
 *
 * @param sign the liar's own key; another one makes the receipt a forgery
 */
export function lie(
  node: FaultyNode,
  from = 0,
  sign: Sign = node.identity.sign,
  said: Partial<Statement> = {}
): PushFault {
  return (step, forward) => {
    if (step.push.step < from) return forward(step)
    const bytes = step.bytes.slice()
    const states = new Float32Array(bytes.buffer)
    states[0] = (states[0] ?? 0) + 1
    forward(claim(node, { push: step.push, bytes }, sign, said))
  }
}

/** Lies, and signs it as of a session that nobody has, so that the receipt never meets the one that the client was given. */
export function lieElsewhere(node: FaultyNode, from = 0): PushFault {
  return lie(node, from, node.identity.sign, { incarnation: new Uint8Array(16).fill(1) })
}

/** The same bytes with somebody else's signature under them. */
export async function forge(node: FaultyNode): Promise<PushFault> {
  const { sign } = await createIdentity()
  return (step, forward) => forward(claim(node, step, sign))
}

/** A push that says of its bytes that this node computed them. */
export function claim(
  { digest, to }: FaultyNode,
  { push, bytes }: PushedStep,
  sign: Identity['sign'],
  said: Partial<Statement> = {}
): PushedStep {
  const { epoch, step, position, n } = push
  const outputDigest = digest({ boundary: to, position, n }, bytes)
  const statement = { ...readStatement(push.receipt), epoch, step, position, n, outputDigest, ...said }
  return { push: { ...push, digest: outputDigest, receipt: signReceipt(statement, sign) }, bytes }
}
