/** A host's database for commands that change it beside a running host. Part of the executables. */
import { denoClock } from "../platform/deno_clock.ts";
import type { Database } from "../platform/sqlite.ts";
import { openDatabase } from "../store/sqlite/engine.ts";
import { addAudit } from "../store/sqlite/people.ts";
import { MIGRATIONS } from "../store/sqlite/schema.ts";
import { DATABASE_NAME } from "../store/sqlite/store.ts";
import type { AuditRow } from "../store/store.ts";
import { demandOwner } from "./pki_files.ts";
import { clean } from "./terminal_text.ts";

/** Opens the database in a data directory. Rejects with one line where there is none, or an older program's. */
export async function openBeside(directory: string): Promise<Database> {
  const path = `${directory}/${DATABASE_NAME}`;
  await Deno.stat(path).catch(() => {
    throw new Error(
      `there is no ${path}: start the host on the directory once, or name its --data`,
    );
  });
  demandOwner(directory);
  const db = openDatabase(path, true);
  const version = db.pragma("user_version");
  db.close();
  if (version < MIGRATIONS.length) {
    throw new Error(`${path} is an older program's: start the host on it once`);
  }
  return openDatabase(path);
}

/** Notes in the audit trail what was changed at the command line. */
export function noteByHand(
  db: Database,
  change: Pick<AuditRow, "action" | "target" | "before" | "after">,
): void {
  const who = Deno.env.get("SUDO_USER") ?? Deno.env.get("USER") ?? Deno.env.get("LOGNAME") ??
    "somebody";
  addAudit(db, {
    at_wall_ms: denoClock.wallMs(),
    ...{ who: clean(who).slice(0, 64), role: "admin", address: "command line" },
    ...change,
  });
}
