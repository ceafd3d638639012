/** Bounds and format constants that node and host share. Units are in the names. */

/** Highest protocol version spoken. */
export const PROTO_VERSION = 1;
/** Longest line without its newline; longer ones end the session. */
export const LINE_BYTES_MAX = 65_536;
/** Longest compressed frame body, and the most that one may inflate to. */
export const FRAME_BYTES_MAX = 1_048_576;
/** Most bytes of lines that a sender puts into one frame, so that a receiver can start early. */
export const FRAME_LINES_BYTES_MAX = 262_144;
/** Most ranges above `high_acked` named in one `ack`. */
export const ACK_RANGES_MAX = 64;
/** Most ranges named in a `welcome`; what is left out may be sent again and is stored once all the same. */
export const WELCOME_RANGES_MAX = 1_024;
/** Most separate ranges above `high_acked` that the host keeps for one epoch; beyond it the session ends. */
export const HELD_RANGES_MAX = 4_096;
/** How far what is sent may run ahead of what is synced or acked; the jump in seq after an unclean end on another boot. */
export const RESERVE_RECORDS = 256;
/** Missed heartbeats or broadcasts after which the other side counts as gone. */
export const SILENCE_INTERVALS = 3;
/** The share of a credit that the backlog leaves to fresh records: one part in this many. */
export const FRESH_SHARE = 8;
