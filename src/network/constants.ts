const second = 1_000
const minute = 60 * second
const KiB = 1_024
const MiB = 1_024 * KiB
/** What a timer can wait. */
const longest = 2 ** 31 - 1

/** A dial, with its handshakes, that takes longer finds nobody: 4 round trips even over a satellite take 2.4 s. */
export const DIAL_TIMEOUT_MS = 10 * second
/**
 * Of several addresses one that swallows packets may not use up the whole dial: it has half of it, and so much at the least.
 * The only one has all of it: a busy server is no quicker to shake hands where the client begins anew.
 */
export const ADDRESS_DIAL_TIMEOUT_MS = 5 * second
/** A dial for somebody else's sake, of addresses that he names: less than his client waits for. */
export const ASKED_DIAL_TIMEOUT_MS = 5 * second
/** How long an address is tried before the next one is as well: RFC 8305's. One through a relay takes more round trips. */
export const NEXT_ADDRESS_MS = 250
export const NEXT_RELAY_MS = 1 * second
/**
 * Who was not heard of for so long when it was given up is silent: four round trips over a satellite take as long, and an
 * address beside those of relays, of which a dial for others takes half, has a little longer. Through a relay it may be more.
 */
export const SILENT_AFTER_MS = 2.4 * second
export const SILENT_RELAY_AFTER_MS = 3 * second
/** How long others are told at once that an address does not answer, once that was found out. */
export const SILENT_MS = 30 * second
export const SILENT_ADDRESSES = 1_024
/** Addresses known to have answered: to make them forgotten, somebody has to have as many peers dialled that are there. */
export const ANSWERED_ADDRESSES = 4_096
/** Opening a stream is two round trips on a connection that exists. */
export const OPEN_STREAM_TIMEOUT_MS = 10 * second
/**
 * How long a closing stream waits for the other end to close too before it is reset. What the other end has not read by then is
 * lost to it, a whole answer perhaps: as long as it may take to open a stream, however busy it is.
 */
export const STREAM_CLOSE_TIMEOUT_MS = 10 * second
/** How long closing the network waits for connections to say goodbye. */
export const CONNECTION_CLOSE_TIMEOUT_MS = 1 * second
/** Finds a black hole within half a minute: nothing comes for this and two pings, and it is seen when the next one is over. */
export const KEEP_ALIVE_MS = 10 * second
/** A ping that is not answered by then is repeated once, and then has found a dead connection. */
export const PING_TIMEOUT_MS = 5 * second
/** TCP's own probes, for what dies beneath a silent connection. */
export const TCP_KEEP_ALIVE_MS = 1 * minute

/**
 * Bytes in flight on one stream: 16 MiB keep a link of 1 Gbit/s and 125 ms full. yamux starts every stream at
 * 256 KiB; the rest is granted when it opens.
 */
export const MAX_STREAM_WINDOW_BYTES = 16 * MiB
/** Of one stream at a time, so that others get a turn; as large as noise's largest message takes. */
export const MAX_FRAME_BYTES = 65_519 - 12
/** What a connection may hold of a frame that is not complete; yamux elsewhere sends up to a window of 256 KiB at once. */
export const MAX_INBOUND_FRAME_BYTES = 1 * MiB
/**
 * Pieces that wait below the multiplexer, each frame one at the least. Streams wait for the socket, so that it is not what they
 * send: it is answers to who does not read them, and handling many takes a time that grows with their square.
 */
export const MAX_WAITING_PIECES = 16_384
/**
 * What a socket buffers before `send` returns false. Node's own 16 KiB would make every tensor wait for drains; more
 * than this, and a token waits behind a tensor (21 ms at 100 Mbit/s).
 */
export const SOCKET_HIGH_WATER_BYTES = 256 * KiB
/** Streams of one connection, each way. */
export const MAX_STREAMS = 1_024
/** A stream whose peer does not read is reset when this much waits for it. */
export const MAX_SEND_BUFFER_BYTES = 64 * MiB
/** A stream that nobody has begun to read may hold one window, no more. */
export const MAX_READ_BUFFER_BYTES = 16 * MiB

/** How many ports are tried above one that is taken. */
export const PORT_ATTEMPTS = 100

export const PING_PROTOCOL = '/ipfs/ping/1.0.0'
export const PING_BYTES = 32

/** Long enough that a chat keeps its connections, short enough that a server forgets those who left. */
export const CONNECTION_IDLE_TIMEOUT_MS = 30 * second
/** A peer that has not answered GOAWAY by then is gone, or does not care. */
export const GOAWAY_TIMEOUT_MS = 2 * second
/** How soon to look again at a connection that was to close while a stream was arriving. */
export const NEGOTIATION_RECHECK_MS = 50
/** Connections at once, both ways: sockets, and what each may hold of an unfinished frame. */
export const MAX_CONNECTIONS = 512
/** One host has a quarter of the connections, and of dials; but behind one router there may be so many, however few there are in all. */
export const LEAST_OF_HOST = 16
export const MAX_DIALS = 64
/** Of these, what others may ask for: a node has dials left for its own sake. */
export const ASKED_DIAL_SHARE = 1 / 2
/** Peers whose addresses are known by their id alone, once they are not connected any more. */
export const PEERS_REMEMBERED = 4_096
/** Streams of one protocol that one peer may have open to us. */
export const MAX_STREAMS_PER_PROTOCOL = 256

/** Streams of one of libp2p's own protocols that one peer may have open to us; each takes a moment. */
export const MAX_SERVICE_STREAMS = 8

/** Inbound connections of one host: a restarting client needs few, a scanner many. */
export const DIAL_LIMIT = { perSecond: 20, burst: 512 }
/** Dials that a connection which had to be ended for its streams counts for: coming back takes some milliseconds of handshakes. */
export const FLOOD_DIALS = 16
/** Answers to pings that wait for who does not read them; each is 32 bytes. */
export const MAX_WAITING_PING_BYTES = 64 * KiB

/** Streams that one peer opens: one a session, and pings. */
export const STREAM_LIMIT = { perSecond: 100, burst: 1_024 }
/** Streams of a peer that are refused in words, beyond those; then its connection goes. Each takes a third of a millisecond. */
export const REFUSAL_LIMIT = { perSecond: 100, burst: 1_024 }
/** What the multiplexer answers a peer: pings, of which others send one in half a minute, and streams beyond those that there may be. */
export const ANSWER_LIMIT = { perSecond: 10, burst: 1_024 }

/** How soon a relay that has no place, or is not there, is asked again; each time twice as late, up to a minute. */
export const RELAY_RETRY_MS = 1 * second
export const RELAY_RETRY_MOST_MS = 1 * minute
/** Nodes that may be reached through this one, where it relays. */
export const RELAY_PLACES = 16
/** Both ways over one relayed connection: a long generation of a large model, and no file server. */
export const RELAY_BYTES = 1_024 * MiB
/** What waits, each way, for an end of a relayed connection before the other end is granted no more: some of libp2p's windows. */
export const MAX_RELAYED_BYTES = 1 * MiB
/** libp2p limits what goes through a relay by time too, by default to 2 minutes; as long as a timer takes, here. */
export const RELAY_DURATION_MS = longest
/**
 * A place lives with its connection, and need not expire. Of a place that is renewed twice the pinned libp2p forgets to
 * stop the timer of the first renewal, which ends it, and what goes through it, while its holder believes in it.
 */
export const RELAY_PLACE_MS = longest
/** Of the time that a connection idles, what saying goodbye, and closing, may take each where the other end is silent. */
export const GOODBYE_SHARE = 1 / 20
