import { version } from '../base/index.ts'
import type { InferenceServer, Ledger } from '../inference/index.ts'
import type { Model } from '../model/index.ts'
import type { Network } from '../network/index.ts'
import type { SpanRunner } from '../runtime/index.ts'
import { Codec, INFERENCE_PROTOCOL, type Info, toHex } from '../wire/index.ts'
import type { ServePlan } from './plan.ts'
import type { ReadyInfo } from './serve-options.ts'

export interface InfoSources {
  readonly model: Model
  readonly modelDigest: Uint8Array
  readonly plan: ServePlan
  readonly runner: SpanRunner
  readonly network: Network
}

/** What the node's owner is told. */
export function readyInfo(sources: InfoSources, admin: string | null): ReadyInfo {
  const { model, modelDigest, plan, runner, network } = sources
  const { runtime, memoryBytes } = runner
  return {
    event: 'ready',
    peerId: network.peerId,
    addresses: network.addresses(),
    model: model.name,
    modelDigest: toHex(modelDigest),
    modelBlocks: plan.modelBlocks,
    blocks: plan.blocks,
    device: runtime.device,
    deviceReason: `${plan.deviceReason}; ONNX Runtime ${runtime.version} through its ${runtime.binding} binding: ${runtime.reason}`,
    weights: plan.weights,
    threads: plan.threads,
    maxLength: plan.maxLength,
    maxSessions: plan.maxSessions,
    slots: plan.slots,
    memoryBytes: { weights: memoryBytes.weights, kv: memoryBytes.kv },
    reachable: network.reachability,
    admin,
    pid: process.pid,
    version,
    protocol: INFERENCE_PROTOCOL
  }
}

/** What peers are told. */
export function wireInfo(sources: InfoSources, server: InferenceServer, draining: boolean): Info {
  const { modelDigest, runner } = sources
  const info = readyInfo(sources, null)
  const [from, to] = info.blocks
  return {
    version: info.version,
    protocol: info.protocol,
    model: info.model,
    modelDigest,
    modelBlocks: info.modelBlocks,
    from,
    to,
    hiddenSize: runner.hiddenSize,
    maxLength: info.maxLength,
    maxSessions: info.maxSessions,
    sessions: server.sessions().length,
    device: info.device,
    weights: info.weights,
    codecs: [Codec.f32],
    addresses: [...info.addresses],
    delegate: server.delegateMemoryBytes > 0,
    delegateBytes: server.delegateBytes,
    delegateMemoryBytes: server.delegateMemoryBytes,
    draining
  }
}

/** The ledger as JSON. */
export function shownLedger(ledger: Ledger): object {
  const { tokens, sessions, clients, bytesOut, mismatches, pushes, ignored } = ledger
  return { tokens, sessions, clients: clients.size, bytesOut, mismatches, pushes, ignored: Object.fromEntries(ignored) }
}
