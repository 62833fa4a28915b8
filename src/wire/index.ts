// The messages on the wire: schema, framing, digests and receipts. Knows no sockets.
export * from './constants.ts'
export { createDigester, type DigestContext, type Digester, equalBytes, type HiddenStates, toHex } from './digest.ts'
export { WireError, type WireErrorCode } from './errors.ts'
export { FrameDecoder, type FrameHandler, prefixed } from './frame.ts'
export * from './message-parts.ts'
export { MessageReader, type MessageHandler, type MessageReaderInit } from './message-reader.ts'
export { MessageWriter, type ByteSink, type TensorOptions } from './message-writer.ts'
export * from './owner-messages.ts'
export { checkProof, NoProofError, type PortableProof, portableProof, type Proven } from './proof.ts'
export * from './push-messages.ts'
export {
  type EquivocationProof,
  findEquivocation,
  isSignedBy,
  isSignedByServer,
  readStatement,
  type Sign,
  signReceipt,
  type VerifySignature
} from './receipt.ts'
export {
  attachFrames,
  type FrameCodec,
  infoMessage,
  type Outgoing,
  ownerFrames,
  pushFrames,
  serverFrames,
  statementMessage
} from './schema.ts'
export * from './server-messages.ts'
