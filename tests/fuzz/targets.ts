/** What strangers, files and our own database may hand to us: each with valid inputs, and what it may answer. */
import { crc32 } from "node:zlib";
import { BlockDecoder, BlockEncoder } from "../../lib/codec/block.ts";
import { CodecError } from "../../lib/codec/bytes.ts";
import { LinesBuilder } from "../../lib/codec/lines.ts";
import { RowDecoder, RowEncoder } from "../../lib/codec/row.ts";
import { parseAllowance } from "../../lib/config/allow_remote.ts";
import { parseDetector } from "../../lib/config/detector_spec.ts";
import { HOST_SETTINGS } from "../../lib/config/host_settings.ts";
import { NODE_SETTINGS } from "../../lib/config/node_settings.ts";
import { parseSettingsFile, resolveSettings } from "../../lib/config/resolve.ts";
import { parseRule } from "../../lib/config/rule_spec.ts";
import { checkRuntimeConfig } from "../../lib/config/runtime.ts";
import { restoreNodeInfo } from "../../lib/fleet/node_info.ts";
import { readEnrolmentToken } from "../../lib/identity/enrolment_token.ts";
import { readCertificate } from "../../lib/identity/pki.ts";
import { tokenId, tokenParts } from "../../lib/identity/token.ts";
import { parseBaselines } from "../../lib/node/baseline_file.ts";
import { isEnroll, parseEnroll } from "../../lib/protocol/enrolment.ts";
import { parseHostMessage, parseNodeMessage } from "../../lib/protocol/message.ts";
import { RecordShapes } from "../../lib/protocol/record_columns.ts";
import { WireDecoder, WireEncoder } from "../../lib/protocol/wire.ts";
import { decodeBlock, encodeBlock, joinBlocks } from "../../lib/store/sqlite/block.ts";
import { runsOf, Samplings } from "../../lib/store/sqlite/sampled.ts";
import {
  decodeRecord,
  decodeSegmentHeader,
  decodeSlot,
  encodeRecord,
  encodeSlot,
} from "../../lib/wal/format.ts";
import { parseTime } from "../../lib/times.ts";
import { BadRequest, type Params, readParams } from "../../lib/web/params.ts";
import { type Route, ROUTES } from "../../lib/web/host_routes.ts";
import { EPOCH, hello, telemetry } from "../messages.ts";

/** One reader of foreign input. */
export interface Target<T extends Uint8Array | string = Uint8Array | string> {
  readonly seeds: readonly T[];
  /** Makes checksums right again, so that more than they is tried. */
  readonly mend?: (input: T) => T;
  /** Throws what `allows` says, or nothing. */
  readonly run: (input: T) => unknown;
  readonly allows?: (error: unknown) => boolean;
}

const NOW = 1_763_900_000_000;
const moment = { ts_wall_ms: NOW, ts_mono_ms: 5_000 };
const encoder = new TextEncoder();
const isCodec = (error: unknown) => error instanceof CodecError;
const isSyntax = (error: unknown) =>
  error instanceof SyntaxError || error instanceof RangeError || error instanceof TypeError;
const isLine = (error: unknown) => error instanceof Error && !/[\r\n]/.test(error.message);

const records = Array.from(
  { length: 20 },
  (_, i) =>
    JSON.stringify(
      telemetry("pump-7", i + 1, moment, { temp_c: 41 + i / 8, odd: -0 }),
    ),
);
const lines = [JSON.stringify(hello("pump-7", moment)), ...records.slice(0, 2)];
const hostLines = [
  {
    type: "welcome",
    proto: 1,
    encoding: "block",
    host_id: "h",
    high_acked: 4,
    max_seq: 9,
    ranges: [[6, 7]],
  },
  { type: "ack", high_acked: 4, ranges: [[6, 7]], credit: { records: 5, bytes: 9_000 } },
  { type: "config_update", cfg_version: 3, config: { sample_hz: 5, detectors: ["zscore"] } },
  { type: "broadcast", host_id: "h", ts_wall_ms: 1, cfg_version: 3 },
  { type: "error", code: "busy", message: "later", retry_after_ms: 5 },
].map((message) => JSON.stringify(message));

function framesOf(): Uint8Array[] {
  const wire = new WireEncoder();
  wire.use("block");
  return [records, records.slice(0, 3), ["not JSON", ...records.slice(3, 5)]].map((some) =>
    wire.encode(some.map((line) => encoder.encode(line + "\n")))
  );
}
function blocksOf(): Uint8Array[] {
  return [records, records.slice(0, 2), ["a", "b 1", "b 2"]].map((some) => {
    const builder = new LinesBuilder();
    for (const line of some) builder.addText(line);
    return new BlockEncoder().encode(builder.done());
  });
}
function storedOf(): Uint8Array<ArrayBuffer>[] {
  const rows = records.map((payload, i) => ({
    ...{ seq: i + 1, ts_wall_ms: NOW + i, ts_mono_ms: i, is_anomaly: i === 3, score: 1, payload },
    received_wall_ms: NOW,
  }));
  const block = encodeBlock(rows, () => NOW);
  const joined = joinBlocks([{ bytes: block, records: rows.length }])!;
  return [block, new Uint8Array(joined), encodeBlock(rows.slice(0, 1), () => NOW)];
}
/** Notes and rows, each with its length in front. */
function rowsOf(): Uint8Array[] {
  const rows = new RowEncoder();
  const parts = records.slice(0, 4).flatMap((line) => {
    const { note, row } = rows.encode(encoder.encode(line)) as {
      note?: Uint8Array;
      row: Uint8Array;
    };
    return note === undefined ? [row] : [note, row];
  });
  return parts;
}

/** Puts the right CRC-32 over the rest behind it, at an offset. */
function mendAt(offset: number, littleEndian: boolean) {
  return (bytes: Uint8Array): Uint8Array => {
    if (bytes.length < offset + 4) return bytes;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    view.setUint32(offset, crc32(bytes.subarray(offset + 4)), littleEndian);
    return bytes;
  };
}
function mendFrame(bytes: Uint8Array): Uint8Array {
  if (bytes.length < 8) return bytes;
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(0, bytes.length - 8);
  return mendAt(4, false)(bytes);
}

function bytes(target: Target<Uint8Array>): Target {
  return target as unknown as Target;
}
function text(target: Target<string>): Target {
  return target as unknown as Target;
}

const paramsOfAll: Params = Object.assign(
  {},
  ...Object.values(ROUTES).map(({ params }: Route) => params),
);

/** All of them, by name. */
export const TARGETS: Readonly<Record<string, Target>> = {
  "message of a node": text({ seeds: lines, run: (line) => parseNodeMessage(line) }),
  "message of a host": text({ seeds: hostLines, run: (line) => parseHostMessage(line) }),
  "enrolment": text({
    seeds: ['{"type":"enroll","token":"hfe_x","csr":"-----BEGIN X-----\\nAA=="}'],
    run: (line) => [isEnroll(line), parseEnroll(line)],
  }),
  "wire, handshake and lines": bytes({
    seeds: lines.map((line) => encoder.encode(line + "\n")),
    run(input) {
      const wire = new WireDecoder();
      for (const { lines } of wire.push(input)) lines.texts();
      for (const { lines } of wire.use("ndjson")) lines.texts();
      for (const { lines } of wire.push(input)) lines.texts();
    },
  }),
  "wire, frames": bytes({
    seeds: framesOf(),
    mend: mendFrame,
    run(input) {
      const wire = new WireDecoder();
      for (const _ of wire.use("block"));
      const shapes = new RecordShapes("pump-7", EPOCH);
      for (const { lines } of wire.push(input)) {
        for (const run of lines.runs()) if (typeof run !== "string") shapes.columnsOf(run);
        lines.texts();
      }
    },
  }),
  "block": bytes({
    seeds: blocksOf(),
    run: (input) => new BlockDecoder().decode(input, 1_000_000).texts(),
    allows: isCodec,
  }),
  "stored block": bytes({
    seeds: storedOf(),
    mend: mendAt(1, true),
    run: (
      lines,
    ) => [decodeBlock(lines, 1), runsOf({ from_seq: 1, to_seq: 20, lines }, new Samplings())],
  }),
  "rows of the log": bytes({
    seeds: rowsOf(),
    run(input) {
      const rows = new RowDecoder();
      rows.note(input);
      const note = rowsOf()[0]!;
      rows.note(note);
      rows.decode(input);
    },
    allows: isCodec,
  }),
  "record of the log": bytes({
    seeds: records.slice(0, 3).map((line, i) => {
      const into = new Uint8Array(2_000);
      return into.slice(0, encodeRecord(into, 0, i + 1, encoder.encode(line)));
    }),
    run: (input) => [decodeRecord(input, 0), decodeSegmentHeader(input)],
  }),
  "checkpoint": bytes({
    seeds: [encodeSlot({
      ...{
        turn: 1,
        epoch: EPOCH,
        highAcked: 4,
        lastSeq: 9,
        clean: false,
        osBootId: "b".repeat(16),
      },
      ...{ tail: 3, strides: 2, unsyncedMax: 50 },
    })],
    mend(input) {
      if (input.length < 64) return input;
      new DataView(input.buffer, input.byteOffset).setUint32(
        60,
        crc32(input.subarray(0, 60)),
        true,
      );
      return input;
    },
    run: (input) => decodeSlot(input),
  }),
  "configuration from a host": text({
    seeds: [
      '{"sample_hz":5,"detectors":["zscore:window=60"],"rules":["low rail_v<4.5"],"send_interval_ms":1000}',
    ],
    run(input) {
      const value = JSON.parse(input);
      if (typeof value === "object" && value !== null && !Array.isArray(value)) {
        checkRuntimeConfig(value);
      }
    },
    allows: isSyntax,
  }),
  "settings file": text({
    seeds: ['id = "pump-7"\nsample_hz = 5\nsensors = ["sim", "file:name=a,path=/x"]\n[a]\nb = 1\n'],
    run(input) {
      const { values } = parseSettingsFile(input, "x.toml");
      for (const table of [NODE_SETTINGS, HOST_SETTINGS]) {
        resolveSettings(table, { flags: {}, environment: {}, file: values });
      }
    },
    allows: isLine,
  }),
  "rules, detectors, allowances": text({
    seeds: [
      "low rail_v<4.5",
      "zscore:window=60,threshold=3",
      "temp_c=ewma:alpha=0.1",
      "exec:/opt/read",
      "sensors=linux,sim",
    ],
    run(input) {
      for (const parse of [parseRule, parseDetector, parseAllowance]) {
        try {
          parse(input);
        } catch (error) {
          if (!(error instanceof SyntaxError || error instanceof RangeError)) throw error;
        }
      }
    },
  }),
  "query parameters": text({
    seeds: [
      "metric=temp_c&from=-24h&points=800",
      "limit=10&order=newest&anomalies=1&cursor=x",
      "format=csv&to=2026-11-24T10:00:00Z",
    ],
    run(input) {
      const query = Object.fromEntries(new URLSearchParams(input));
      for (const { params } of Object.values(ROUTES) as Route[]) {
        try {
          readParams(params, { id: input }, query, NOW);
        } catch (error) {
          if (!(error instanceof BadRequest)) throw error;
        }
      }
      try {
        readParams(paramsOfAll, { id: "a" }, query, NOW);
      } catch (error) {
        if (!(error instanceof BadRequest)) throw error;
      }
      parseTime(input, NOW);
    },
  }),
  "tokens": text({
    seeds: [
      `hf_0123456789_${"x".repeat(43)}`,
      `hfe_${"y".repeat(43)}_${"z".repeat(43)}_pump-7`,
      "anna",
    ],
    run: (
      input,
    ) => [tokenId(input), readEnrolmentToken(input), tokenParts({ name: input, role: input }, NOW)],
    allows: (error) => error instanceof RangeError,
  }),
  "certificate": text({
    seeds: [
      "-----BEGIN CERTIFICATE-----\nMIIBADCBpwIBATAKBggqhkjOPQQDAjAAMB4XDTI2MTEzMDAwMDAwMFoXDTI3\n-----END CERTIFICATE-----\n",
    ],
    run: (input) => readCertificate(input),
    allows: isLine,
  }),
  "baselines": text({
    seeds: (() => {
      const head = JSON.stringify({
        holdfast_baselines: 1,
        saved_wall_ms: NOW,
        sample_hz: 10,
        turn: 1,
        events: [],
      });
      const metric = JSON.stringify({ metric: "a", spec: "zscore", detector: {}, budget: [1] });
      return [
        [head, metric].map((json) => `${crc32(json).toString(16).padStart(8, "0")} ${json}\n`).join(
          "",
        ),
      ];
    })(),
    mend: (input) =>
      input.split("\n").map((line) => {
        const json = line.slice(9);
        return json === ""
          ? line
          : `${crc32(encoder.encode(json)).toString(16).padStart(8, "0")} ${json}`;
      }).join("\n"),
    run: (input) => parseBaselines(input, 10, NOW, [input.split("\n")[0]!]),
    allows: isLine,
  }),
  "what the host knows of a node": text({
    seeds: [
      JSON.stringify({
        node_id: "a",
        records: 5,
        gap_records: 1,
        last_seen_wall_ms: NOW,
        connected: true,
      }),
    ],
    run: (input) => restoreNodeInfo("pump-7", JSON.parse(input), NOW),
    allows: isSyntax,
  }),
};
