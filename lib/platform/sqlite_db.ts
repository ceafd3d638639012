/** An open SQLite database with its prepared statements. */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { MIGRATIONS, SCHEMA_VERSION } from "./sqlite_schema.ts";

/** See the head of the file. Statements take their values by position only. */
export class Database {
  #db: DatabaseSync;
  #statements = new Map<string, StatementSync>();

  /**
   * Opens or makes the database and brings its tables to this program's version; nothing of a migration stays
   * where it fails. Throws where the file is damaged, or was made by a newer program.
   */
  constructor(path: string) {
    this.#db = new DatabaseSync(path);
    this.#db.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -32000;",
    );
    this.#db.exec("PRAGMA wal_autocheckpoint = 4000;");
    const version = Number(this.sql("PRAGMA user_version").get()!.user_version);
    if (version > SCHEMA_VERSION) {
      throw new Error(`schema version ${version} is newer than this program's ${SCHEMA_VERSION}`);
    }
    for (let next = version; next < SCHEMA_VERSION; next++) {
      this.inTransaction(() =>
        this.#db.exec(`${MIGRATIONS[next]} PRAGMA user_version = ${next + 1};`)
      );
    }
  }

  /** The statement of that text, prepared once. */
  sql(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (statement === undefined) this.#statements.set(text, statement = this.#db.prepare(text));
    return statement;
  }

  /** Does all of `work` or nothing; durable when it returns. */
  inTransaction(work: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    try {
      work();
      this.#db.exec("COMMIT");
    } catch (error) {
      try {
        this.#db.exec("ROLLBACK");
      } catch {
        // Some failures end the transaction by themselves.
      }
      throw error;
    }
  }

  /** Closes it; must not be used afterwards. */
  close(): void {
    this.#statements.clear();
    this.#db.exec("PRAGMA optimize");
    this.#db.close();
  }
}
