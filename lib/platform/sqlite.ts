/** An open SQLite database with its prepared statements. Knows no table. */
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** SQLite's primary result code of a violated constraint: the row is at fault, not the disk. */
const CONSTRAINT = 19;

/** Texts for a file that is damaged or no database; not every call of the driver gives a code. */
const CORRUPT = /file is not a database|malformed|no such (?:table|column)|has no column/;

/** Whether an error says that a row breaks a rule of its table. */
export function isConstraint(error: unknown): boolean {
  return (Number((error as { errcode?: number }).errcode) & 0xff) === CONSTRAINT;
}

/** Whether an error says that the file is damaged, or not made by this program. */
export function isCorrupt(error: unknown): boolean {
  return error instanceof Error && CORRUPT.test(error.message);
}

/** Thrown where a database was made by a newer program. */
export class NewerDatabase extends Error {
  override readonly name = "NewerDatabase";
}

/** How a database is opened. */
export interface DatabaseOptions {
  /** Entry i brings a database from version i to i + 1; together they make the newest tables. */
  readonly migrations: readonly string[];
  /** The connection only reads. */
  readonly readOnly?: boolean;
}

/** See the head of the file. Statements take their values by position only. */
export class Database {
  #db: DatabaseSync;
  #statements = new Map<string, StatementSync>();

  /**
   * Opens or makes the database (`:memory:` for one without a file) and brings its tables to the newest
   * version; nothing of a migration stays where it fails. Throws {@linkcode NewerDatabase} where the file was
   * made by a newer program, and the driver's errors where it is damaged or can't be used.
   */
  constructor(path: string, { migrations, readOnly = false }: DatabaseOptions) {
    this.#db = new DatabaseSync(path);
    // First of all: also what is set here may have to wait for another process.
    this.#db.exec("PRAGMA busy_timeout = 5000;");
    // Small transactions write whole pages; freed ones can be given back in pieces. Both take effect in a database
    // that has no table yet.
    if (!readOnly) this.#db.exec("PRAGMA page_size = 1024; PRAGMA auto_vacuum = INCREMENTAL;");
    this.#db.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16000; " +
        "PRAGMA wal_autocheckpoint = 8000; PRAGMA journal_size_limit = 16777216;",
    );
    if (readOnly) {
      this.#db.exec("PRAGMA query_only = 1;");
      return;
    }
    const version = Number(this.sql("PRAGMA user_version").get()!.user_version);
    if (version > migrations.length) {
      throw new NewerDatabase(
        `schema version ${version} is newer than this program's ${migrations.length}`,
      );
    }
    for (let next = version; next < migrations.length; next++) {
      this.inTransaction(() =>
        this.#db.exec(`${migrations[next]} PRAGMA user_version = ${next + 1};`)
      );
    }
  }

  /** The statement of that text, prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.#db.prepare(text));
    return statement;
  }

  /** Runs statements that return nothing. */
  exec(text: string): void {
    this.#db.exec(text);
  }

  /** Does all of `work` or nothing; durable when it returns. */
  inTransaction<T>(work: () => T): T {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.#db.exec("COMMIT");
      return result;
    } catch (error) {
      try {
        this.#db.exec("ROLLBACK");
      } catch {
        // Some failures end the transaction by themselves.
      }
      throw error;
    }
  }

  /** A number that a `PRAGMA` gives. */
  pragma(name: string): number {
    return Number(Object.values(this.sql(`PRAGMA ${name}`).get() ?? {})[0] ?? 0);
  }

  /** Closes it; must not be used afterwards. */
  close(): void {
    this.#statements.clear();
    this.#db.close();
  }
}
