/** One stream a session, client to server. */
export const INFERENCE_PROTOCOL = '/andthen/inference/1.0.0'
/** One long-lived stream a pair of servers, upstream to downstream, many sessions. */
export const PUSH_PROTOCOL = '/andthen/push/1.0.0'
/** One question, one answer: what a node serves. */
export const INFO_PROTOCOL = '/andthen/info/1.0.0'

/** `Open.version`, and `Statement.version`. */
export const PROTOCOL_VERSION = 1

/** Bytes of a frame's payload at most: a small message waits for no more than this. */
export const MAX_FRAGMENT_BYTES = 64 * 1024
/** Bytes of a frame's header at most: a route of 64 hops with its addresses, or as many receipts, fits. */
export const MAX_HEADER_BYTES = 64 * 1024
/** Bytes of SHA-256. */
export const DIGEST_BYTES = 32
/** Bytes of session ids, incarnations and push keys: too many to guess. */
export const KEY_BYTES = 16
