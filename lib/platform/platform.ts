/**
 * The seams between Holdfast and the world: time, disk, network, chance. Everything outside
 * `lib/platform/deno_*.ts`, `sqlite_store.ts` and the executables is handed these and touches nothing
 * else; that is what lets `tests/sim/` run the production code in a simulated world.
 * This file holds contracts only and imports nothing.
 */

/** Time. Nothing else may read a clock or wait. */
export interface Clock {
  /** Milliseconds since an arbitrary start; never goes back within a run. Fractional. */
  monotonicMs(): number;
  /** Milliseconds since 1970 as the machine believes; may jump either way at any time. Fractional. */
  wallMs(): number;
  /**
   * Resolves at or after the monotonic time `deadlineMs`, or early when `signal` aborts (it then resolves
   * too; it never rejects). A deadline in the past resolves on a later turn of the event loop.
   */
  sleepUntil(deadlineMs: number, signal?: AbortSignal): Promise<void>;
}

/** Chance, in integers only, so that a seed means the same on every machine. Not for secrets. */
export interface Random {
  /** A whole number in `[0, n)`; `n` from 1 to 2^31. */
  below(n: number): number;
  /** `count` random bytes. */
  bytes(count: number): Uint8Array<ArrayBuffer>;
}

/**
 * One flat directory of files. Names hold no separator. Contents may be anything: whoever reads must
 * expect files that are empty, short, damaged or not ours.
 *
 * Failures of the world are thrown as {@linkcode DiskError}. After a crash, a created, renamed or removed
 * entry is certain only if `syncDir` resolved after it; file contents only if `DiskFile.sync` did.
 */
export interface Disk {
  /** The names in the directory, sorted by code unit; files only. */
  list(): Promise<string[]>;
  /** Length of a file in bytes, known also where it can't be opened or read; throws `gone` where it isn't there. */
  sizeOf(name: string): Promise<number>;
  /** Opens an existing file for reading, and for appending and truncation where `writable`. */
  open(name: string, writable: boolean): Promise<DiskFile>;
  /**
   * Creates an empty file for reading and appending; throws `exists` where the name is taken. Synchronous,
   * as an append that fills a segment goes on in the next one.
   */
  create(name: string): DiskFile;
  /** Renames atomically, replacing `to`. */
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; no error if it isn't there. */
  remove(name: string): Promise<void>;
  /** Makes the directory's entries durable. */
  syncDir(): Promise<void>;
  /** Bytes that may still be written to the file system, or `undefined` where it can't be told. */
  freeBytes(): Promise<number | undefined>;
}

/** An open file. Closing is the caller's duty; a closed file must not be used. */
export interface DiskFile {
  /** Current length in bytes, with what was appended through this handle. */
  readonly size: number;
  /**
   * Appends at the end, at once and in call order. Returns the number of bytes written, which may be
   * fewer than given (a full disk does that first, without an error). Throws {@linkcode DiskError} with
   * nothing written. Synchronous, so that the order of records is the order of calls; it goes to the page
   * cache only.
   */
  append(bytes: Uint8Array): number;
  /** Overwrites in place from `offset` (within the present size); otherwise as `append`. */
  writeAt(offset: number, bytes: Uint8Array): number;
  /** Reads up to `into.length` bytes at `offset`; resolves to the count, 0 at the end. */
  readAt(offset: number, into: Uint8Array): Promise<number>;
  /**
   * Makes everything appended before the call durable. After a rejection what was appended since the last
   * success may or may not be on disk, and a later success says nothing about it.
   */
  sync(): Promise<void>;
  /** Cuts the file to `size` bytes; durable after `sync`. */
  truncate(size: number): Promise<void>;
  /** Closes; never throws. */
  close(): void;
}

/** What a caller treats differently. `full`: no space or quota. `gone`: no such file. */
export type DiskErrorKind = "full" | "gone" | "exists" | "readonly" | "io";

/** A failure of the disk. The message names operation, path and cause. */
export class DiskError extends Error {
  override readonly name = "DiskError";
  readonly kind: DiskErrorKind;
  constructor(kind: DiskErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** Byte streams between node and host. */
export interface Transport {
  /** Connects to `address` (`host:port`); rejects with a one-line {@linkcode Error} when it can't or `signal` aborts. */
  connect(address: string, signal: AbortSignal): Promise<Connection>;
  /** Listens on `address` (port 0: any free one); rejects with a one-line error naming a busy port. */
  listen(address: string): Promise<Listener>;
}

/** Accepts connections until closed. */
export interface Listener {
  /** The address actually bound, `host:port`. */
  readonly address: string;
  /** The next connection, or `undefined` once closed. */
  accept(): Promise<Connection | undefined>;
  /** Stops accepting; accepted connections live on. */
  close(): void;
}

/**
 * One byte stream. Reads may split anywhere; written bytes may be delivered in part or not at all; the end
 * of the other side may never be reported.
 */
export interface Connection {
  /** The other side, `host:port`, for logs. */
  readonly peer: string;
  /** The identity that TLS proved (first name in the client certificate), if any. */
  readonly identity?: string | undefined;
  /** Serial number of that certificate, hexadecimal in lower case. */
  readonly serial?: string | undefined;
  /** Why TLS doesn't trust the other side: it may be told so, and nothing that it sends may be believed. */
  readonly distrust?: string | undefined;
  /**
   * The next bytes, or `undefined` at the end, after an error and after `close`. One call at a time. The
   * returned view belongs to the caller.
   */
  read(): Promise<Uint8Array | undefined>;
  /**
   * Writes all of `bytes`; resolves when they were accepted for sending (back-pressure), or on a closed or
   * broken connection at once, without an error: the reader learns of it. Calls keep their order. `bytes`
   * must not be changed afterwards.
   */
  write(bytes: Uint8Array): Promise<void>;
  /** Ends the connection now; pending reads resolve to `undefined`, pending writes resolve. Idempotent. */
  close(): void;
}

/** Whom a request over HTTP comes from. */
export interface Requester {
  readonly address: string;
  /** What their certificate proves, where one is asked for. */
  readonly certificate?: Pick<Connection, "serial" | "distrust">;
}
