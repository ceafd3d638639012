/** The tables of the SQLite store. Plain SQL answers what an operator asks; see `docs/operations.md`. */

/** From an empty database to version 1. */
const RECORDS = `
CREATE TABLE host (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
-- One row a record, up to version 3.
CREATE TABLE records (
  node_id TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
  ts_wall_ms REAL NOT NULL, ts_mono_ms REAL NOT NULL, received_wall_ms REAL NOT NULL,
  is_anomaly INTEGER NOT NULL, score REAL NOT NULL, payload TEXT NOT NULL,
  PRIMARY KEY (node_id, epoch, seq)
) STRICT;
CREATE INDEX records_anomalies ON records (node_id, ts_wall_ms) WHERE is_anomaly = 1;
-- Ranges that are lost for good, without what arrived all the same.
CREATE TABLE gaps (
  node_id TEXT NOT NULL, epoch TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
  reason TEXT NOT NULL, declared_wall_ms REAL NOT NULL,
  PRIMARY KEY (node_id, epoch, from_seq)
) STRICT;
-- Up to high_acked, and in ranges (JSON), all is durable or a gap.
CREATE TABLE epochs (
  node_id TEXT NOT NULL, epoch TEXT NOT NULL, high_acked INTEGER NOT NULL, max_seq INTEGER NOT NULL,
  ranges TEXT NOT NULL, first_wall_ms REAL NOT NULL, last_wall_ms REAL NOT NULL,
  PRIMARY KEY (node_id, epoch)
) STRICT;
CREATE TABLE nodes (node_id TEXT PRIMARY KEY, known TEXT NOT NULL) STRICT;
CREATE TABLE configs (
  target TEXT PRIMARY KEY, cfg_version INTEGER NOT NULL, config TEXT NOT NULL, at_wall_ms REAL NOT NULL
) STRICT;
CREATE TABLE events (
  id INTEGER PRIMARY KEY, at_wall_ms REAL NOT NULL, node_id TEXT NOT NULL, kind TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_node ON events (node_id, id);
CREATE VIEW anomalies AS
  SELECT node_id, epoch, seq, ts_wall_ms, score, json_extract(payload, '$.anomaly.metrics') AS metrics
  FROM records WHERE is_anomaly = 1;
`;

/** From version 1 to 2: what charts and queries by time need. All of it is derived from the records. */
const ROLLUPS = `
CREATE TABLE series (
  id INTEGER PRIMARY KEY, node_id TEXT NOT NULL, metric TEXT NOT NULL, UNIQUE (node_id, metric)
) STRICT;
-- A metric's values summed up over 10 s and 10 min of the device's clock.
CREATE TABLE rollup_fine (
  series INTEGER NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL, sum REAL NOT NULL,
  min REAL NOT NULL, max REAL NOT NULL, anomalies INTEGER NOT NULL, PRIMARY KEY (series, bucket)
) STRICT, WITHOUT ROWID;
CREATE TABLE rollup_coarse (
  series INTEGER NOT NULL, bucket INTEGER NOT NULL, n INTEGER NOT NULL, sum REAL NOT NULL,
  min REAL NOT NULL, max REAL NOT NULL, anomalies INTEGER NOT NULL, PRIMARY KEY (series, bucket)
) STRICT, WITHOUT ROWID;
-- Where the records of 10 s of the device's clock lie: an index by time with a hundredth of the entries.
CREATE TABLE spans (
  node_id TEXT NOT NULL, bucket INTEGER NOT NULL, epoch TEXT NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, records INTEGER NOT NULL, anomalies INTEGER NOT NULL,
  PRIMARY KEY (node_id, bucket, epoch)
) STRICT, WITHOUT ROWID;
-- Blocks up to this id are in the rollups and spans; up to version 3, records up to this rowid.
INSERT INTO host VALUES ('rolled_up', '0');
`;

/**
 * From version 2 to 3: anomalies by number without a scan, and how often a record could not be summed up.
 */
const ANOMALIES = `
CREATE INDEX records_anomalies_by_seq ON records (node_id, epoch, seq) WHERE is_anomaly = 1;
CREATE INDEX epochs_by_time ON epochs (node_id, last_wall_ms);
`;

const blockTable = (name: string) => `
CREATE TABLE ${name} (
  id INTEGER PRIMARY KEY, node_id TEXT NOT NULL, epoch TEXT NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL,
  first_wall_ms REAL NOT NULL, last_wall_ms REAL NOT NULL, received_wall_ms REAL NOT NULL,
  anomalies INTEGER NOT NULL, lines BLOB NOT NULL
) STRICT;
CREATE INDEX ${name}_by_seq ON ${name} (node_id, epoch, from_seq, to_seq);
`;

/**
 * From version 3 to 4: records as blocks (block.ts), a hundredth of the rows and a thirtieth of the bytes. Those of
 * the table of records are moved by `legacy_records.ts`, which drops it when it is empty.
 */
const BLOCKS = `
DROP VIEW anomalies;
DROP INDEX epochs_by_time;
-- As they came. No other block ever has the same id.
${blockTable("recent")}
-- Joined and deflated.
${blockTable("sealed")}
CREATE INDEX sealed_anomalies ON sealed (node_id, epoch, from_seq) WHERE anomalies > 0;
-- What retention took: with blocks and gaps it accounts for every seq up to high_acked.
CREATE TABLE deleted (
  node_id TEXT NOT NULL, epoch TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL
) STRICT;
CREATE INDEX deleted_by_seq ON deleted (node_id, epoch, to_seq);
`;

/** From version 4 to 5: who may do what at the host, who did what, and which devices are let in. */
const PEOPLE = `
CREATE TABLE tokens (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, role TEXT NOT NULL, hash TEXT NOT NULL,
  created_wall_ms REAL NOT NULL, expires_wall_ms REAL
) STRICT;
CREATE TABLE audit (
  id INTEGER PRIMARY KEY, at_wall_ms REAL NOT NULL, who TEXT NOT NULL, role TEXT NOT NULL,
  address TEXT NOT NULL, action TEXT NOT NULL, target TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
CREATE TABLE enrolments (
  hash TEXT PRIMARY KEY, node_id TEXT NOT NULL, created_wall_ms REAL NOT NULL, expires_wall_ms REAL NOT NULL
) STRICT;
CREATE TABLE certificates (
  serial TEXT PRIMARY KEY, node_id TEXT NOT NULL, issued_wall_ms REAL NOT NULL, not_after_ms REAL NOT NULL,
  revoked_wall_ms REAL
) STRICT;
`;

/** Entry i brings a database from version i to i + 1. Entries are added, never changed. */
export const MIGRATIONS: readonly string[] = [RECORDS, ROLLUPS, ANOMALIES, BLOCKS, PEOPLE];
