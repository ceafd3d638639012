/** Bounds and format constants that node and host share. Units are in the names. */
import { assert } from "./assert.ts";

/** Highest protocol version spoken. */
export const PROTO_VERSION = 1;
/** Longest line without its newline; longer ones end the session. */
export const LINE_BYTES_MAX = 65_536;
/** Longest compressed frame body, and the most that one may inflate to. */
export const FRAME_BYTES_MAX = 1_048_576;
/** Most bytes of lines that a sender puts into one frame, so that a receiver can start early. */
export const FRAME_LINES_BYTES_MAX = 524_288;
/** Most ranges above `high_acked` named in one `ack`. */
export const ACK_RANGES_MAX = 64;
/** Most ranges named in a `welcome`; what is left out may be sent again and is stored once all the same. */
export const WELCOME_RANGES_MAX = 512;
/** Most separate ranges above `high_acked` that the host keeps for one epoch; beyond it the session ends. */
export const HELD_RANGES_MAX = 4_096;
/** How far what is sent may run ahead of what is synced or acked; the jump in seq after an unclean end on another boot. */
export const RESERVE_RECORDS = 256;
/** Missed heartbeats or broadcasts after which the other side counts as gone. */
export const SILENCE_INTERVALS = 3;
/** The share of a credit that the backlog leaves to fresh records: one part in this many. */
export const FRESH_SHARE = 8;
/** Highest seq there may be. */
export const SEQ_MAX = 2 ** 48;
/** How far above the highest seq of its epoch a peer may jump. */
export const SEQ_JUMP_MAX = 2 ** 32;
/** Highest version of a configuration, and how far above its own highest a host follows a node's word. */
export const CFG_VERSION_MAX = 2 ** 48;
/** See {@linkcode CFG_VERSION_MAX}. */
export const CFG_VERSION_JUMP_MAX = 1_000_000;
/** Most samples that one downsampled record may stand for. */
export const AGG_SAMPLES_MAX = 1_000_000;
/** Most metrics of one record. */
export const RECORD_METRICS_MAX = 256;
/** Deepest nesting of what a record says in fields that nobody here knows. */
export const NESTING_MAX = 32;
/** Longest time that a peer's word keeps the other away or makes it wait for a sign of life. */
export const RETRY_AFTER_MS_MAX = 600_000;
/** See {@linkcode RETRY_AFTER_MS_MAX}; for intervals of heartbeats and broadcasts. */
export const SIGN_OF_LIFE_MS_MAX = 3_600_000;
/** Longest JSON of a configuration, so that a welcome that carries it fits into a line. */
export const CONFIG_BYTES_MAX = 32_768;

/** Most bytes of a range in JSON: two numbers up to SEQ_MAX, brackets and commas. */
const RANGE_BYTES_MAX = 36;
assert(
  CONFIG_BYTES_MAX + RANGE_BYTES_MAX * WELCOME_RANGES_MAX + 4_096 <= LINE_BYTES_MAX,
  "a welcome with configuration and ranges must fit into a line",
);
assert(SEQ_MAX + SEQ_JUMP_MAX < Number.MAX_SAFE_INTEGER, "numbers of records must be exact");
assert(FRAME_LINES_BYTES_MAX + LINE_BYTES_MAX < FRAME_BYTES_MAX, "our own frames must be allowed");
