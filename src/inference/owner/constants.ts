const second = 1_000
const KiB = 1_024

/** Opening a session is one round trip on an open stream; a server that queues it says so within this. */
export const OPEN_TIMEOUT_MS = 10 * second
/** Dialling a server whose connection was lost and its answer to `Resume`, together: as long as a suspect has for a ping. */
export const RESUME_TIMEOUT_MS = 2 * second
/** Between two attempts to come back: at first, doubled each time, and at most. */
export const RESUME_WAIT_MS = { first: 100, most: 1 * second }
/**
 * So often a session is resumed without one more answer that is whole: a server that gives nothing but streams has failed.
 */
export const FRUITLESS_RESUMES = 3
/** A server answers `Rewind` within 1 s whether or not the next one answered it; the rest is for the link. */
export const REWIND_TIMEOUT_MS = 3 * second
/** How long a closing session waits for the server's last counts; nothing depends on them but figures. */
export const CLOSE_TIMEOUT_MS = 1 * second
/** `info` is one round trip and one small message. */
export const INFO_TIMEOUT_MS = 10 * second
/** An Info holds addresses and a few numbers. */
export const MAX_INFO_BYTES = 64 * KiB

/** `--verify auto` sends a copy instead of a digest up to this size: as much as one fragment, which delays nothing. */
export const AUTO_COPY_BYTES = 64 * KiB
/**
 * How long a proof waits for the next step, to go in one packet with it: a chain on one machine takes less for a token,
 * and a server computes several tokens ahead of their proofs.
 */
export const PROOF_WAIT_MS = 10
/** Memory for kept inputs is taken in pieces of this size: a page of a few hundred tokens. */
export const KEPT_SLAB_BYTES = 1_024 * KiB

/** A pass without progress for this long, or for this many times the usual, makes its server suspect. */
export const SUSPECT_MS = 1 * second
export const SUSPECT_FACTOR = 8
/** A suspect that does not answer a ping within this is gone. */
export const SUSPECT_PING_MS = 2 * second
/**
 * The same, of one whose place no other can take: as long as a session is worth waiting for. Its server may only be busy, and a
 * new session there, with all that is replayed to it, would keep it busier.
 */
export const NEEDED_PING_MS = 8 * second
/** After a mismatch, how long the downstream server has to show the receipt that came with the push. */
export const EVIDENCE_MS = 1 * second
/** A header still missing this long (or 4 round trips) after the last server's output is being kept back. */
export const MISSING_HEADER_MS = 1 * second
export const MISSING_HEADER_ROUND_TRIPS = 4
