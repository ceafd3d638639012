/** An uplink with what it needs, for tests of its decisions. */
import { Uplink, type UplinkLog, type UplinkOptions } from "../../lib/node/uplink.ts";
import type { Welcome } from "../../lib/protocol/message.ts";

/** A log whose positions a test moves. */
export interface Log extends UplinkLog {
  highAcked: number;
  nextSeq: number;
  sendableThrough: number;
}

/** A log of one run with so many records that the host lacks. */
export function logWith(backlog: number): Log {
  return {
    epoch: "9f2c4e11a0b3d5c7",
    firstSeq: 1,
    nextSeq: backlog + 1,
    highAcked: 0,
    sendableThrough: backlog,
    runFirstSeq: 1,
    gaps: [],
  };
}

/** A welcome of a host that has nothing; `extra` wins over what stands here. */
export function welcome(records: number, extra: Partial<Welcome> = {}): Welcome {
  return {
    type: "welcome",
    proto: 1,
    encoding: "ndjson",
    host_id: "h",
    high_acked: 0,
    max_seq: 0,
    credit: { records, bytes: 1 << 30 },
    limits: { line_bytes_max: 65_536, heartbeat_ms: 10_000, broadcast_ms: 10_000 },
    ...extra,
  };
}

/** An uplink that has not heard of the host yet, at time 0. */
export function greeting(log: UplinkLog, more: Partial<UplinkOptions> = {}): Uplink {
  return new Uplink(log, {
    nodeId: "a",
    bootId: "b",
    version: "1",
    token: "",
    encodings: ["ndjson"],
    sendIntervalMs: () => 1_000,
    cfgVersion: () => 0,
    runMaxSent: 0,
    ...more,
  }, 0);
}

/** An uplink that was welcomed at time 0. */
export function open(log: UplinkLog, message: Welcome, runMaxSent = 0): Uplink {
  const uplink = greeting(log, { runMaxSent });
  uplink.receive(message, 0);
  uplink.start(0);
  return uplink;
}
