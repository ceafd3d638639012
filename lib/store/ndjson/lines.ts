/** The lines of the NDJSON store's files. */
import type { ConfigRow, EpochState, StoredEvent, StoredGap } from "../store.ts";

/** One line; `commit` ends a block. */
export type StoredLine =
  | { readonly type: "host"; readonly host_id: string }
  | { readonly type: "record"; readonly received_wall_ms: number; readonly payload: string }
  | ({ readonly type: "gap" } & Omit<StoredGap, "id" | "from_wall_ms" | "to_wall_ms">)
  | ({ readonly type: "epoch" } & EpochState)
  | { readonly type: "node"; readonly node_id: string; readonly known: unknown }
  | { readonly type: "forgotten"; readonly node_id: string; readonly records: boolean }
  | ({ readonly type: "config" } & ConfigRow)
  | ({ readonly type: "event" } & StoredEvent)
  | { readonly type: "commit" };

/** Reads a line that this program wrote; `undefined` where it is damaged. */
export function parseRow(text: string): StoredLine | undefined {
  try {
    const value = JSON.parse(text) as StoredLine;
    return typeof value?.type === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
