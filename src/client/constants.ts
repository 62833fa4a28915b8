const second = 1_000
const minute = 60 * second

/** A prompt is cut into steps of this many tokens, so that the servers of a chain work on it at the same time. */
export const PREFILL_TOKENS = 128

/** For asking a peer what it serves, all attempts together. */
export const CONNECT_TIMEOUT_MS = 10 * second
/**
 * How long a peer that could not be asked is left alone; each time twice as long. A handshake that a busy server gave up was
 * worth less than a second of its time: what comes back later than that does not keep it from the others.
 */
export const ASK_AGAIN_MS = { first: 0.25 * second, most: 4 * second }
export const STEP_TIMEOUT_MS = 30 * second
/** Peers that are slow to say what they serve are not waited for longer than this once the others tile the model. */
export const STRAGGLER_MS = 0.5 * second
/** A server has an address a network that it is in; of a host name 253 characters are legal. */
export const MAX_ADDRESSES = 8
export const MAX_ADDRESS_CHARS = 400
/** Round trips vary; the least of two is near the truth. */
export const PINGS = 2

/** A first server gives those behind it 10 s to answer, and then says which did not: before it is taken for lost itself. */
export const ROUTE_TIMEOUT_MS = 15 * second
/** A delegated route may carry every token so many times: it is brought up to date again after a failure. */
export const ROUTE_QUOTA_FACTOR = 4

/** Without another server for its blocks a session is worth waiting for: as long as servers keep it, and less a little. */
export const RESUME_PATIENCE_MS = 8 * second
/** Replacing servers again and again within one pass means that the network is broken, not they. */
export const MAX_REPAIRS = 16
/** For how long a generation goes on while nothing comes of it, and waits for a server whose place no other can take. */
export const WAIT_MS = 30 * second
/**
 * How long a server is left no route to one that it did not get to: it may take that one for silent for as long as a client
 * waits, which reaches it itself. Half of that, so that both ways are tried.
 */
export const APART_MS = WAIT_MS / 2
/** How long a server that broke the protocol is not used, and one that refused a route is left none. */
export const EXCLUDED_MS = 1 * minute
/**
 * What losses weigh: half as much after each minute, and after each 8 passes of proven work, a second or less. Below a half a
 * loss is forgotten; a server that was lost all day is as good as any four minutes later.
 */
export const PENALTY = { most: 8, halfLifeMs: 1 * minute, halfPasses: 8 }
/**
 * How long a server is left alone at its second loss, and at most; twice as long each time. Less than a server needs to start
 * again at first, and no more than its client should notice late that it is back.
 */
export const BACK_OFF_MS = { first: 0.25 * second, most: 8 * second }
/**
 * How long a link is left alone that interrupts one replay after the other before anything came of it; each time twice as long.
 * No longer, since a session that lies idle and loses its stream again and again is given up.
 */
export const REPLAY_WAIT_MS = { first: 0.1 * second, most: 1 * second }
/** How long a server that has no room is left alone, whatever it says itself; about. */
export const BUSY_MS = { least: 0.2 * second, most: 5 * second }
/**
 * For how long servers that have no room are asked again, or one says that it queues, before the generation has failed: two
 * backlogs.
 */
export const BUSY_PATIENCE_MS = 1 * minute
/** How long a session that is needed in a chain's middle may be queued, while those on the other servers lie idle; about. */
export const QUEUED_MS = 2 * second
/** At the end, how long the last proofs and tensors may take: more than the second for which a server waits for a push. */
export const SETTLE_MS = 3 * second
