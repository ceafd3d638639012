/**
 * One connection as seen from outside, while it speaks plain lines: what is in flight by the host's own words, and
 * what was declared lost. It believes nothing that the node says of itself.
 */
import { RangeSet } from "../../lib/protocol/ranges.ts";

/** See the head of the file. */
export class LinkTap {
  #violate: (what: string) => void;
  #credit = { records: 0, bytes: 0 };
  #inFlight = new Map<number, number>();
  #bytes = 0;
  #declared = new RangeSet();
  #text = "";
  #isPlain = true;
  #decoder = new TextDecoder();

  constructor(violate: (what: string) => void) {
    this.#violate = violate;
  }

  /** The host sent that. */
  received(bytes: Uint8Array): void {
    if (!this.#isPlain) return;
    const lines = (this.#text + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#text = lines.pop()!;
    for (const line of lines) {
      const message = JSON.parse(line);
      if (message.type === "welcome") this.#isPlain = message.encoding === "ndjson";
      if (message.credit !== undefined) this.#credit = message.credit;
      if (message.type !== "ack") continue;
      const acked = new RangeSet(message.ranges ?? []);
      for (const [seq, size] of this.#inFlight) {
        if (seq > message.high_acked && !acked.has(seq)) continue;
        this.#inFlight.delete(seq);
        this.#bytes -= size;
      }
    }
  }

  /** The node sent that, in whole lines. */
  sent(bytes: Uint8Array): void {
    if (!this.#isPlain || bytes[0] !== 0x7b) return;
    for (const line of new TextDecoder().decode(bytes).split("\n")) {
      if (line.startsWith('{"type":"telemetry"')) this.#sentRecord(line);
      else if (line.startsWith('{"type":"gap"')) {
        const { from_seq, to_seq } = JSON.parse(line);
        this.#declared.add(from_seq, to_seq);
      }
    }
  }

  #sentRecord(line: string): void {
    const seq = Number(/"seq":(\d+)/.exec(line)![1]);
    if (this.#declared.has(seq)) this.#violate(`seq ${seq} was declared lost and then sent`);
    if (this.#inFlight.has(seq)) this.#violate(`seq ${seq} was sent twice in a session`);
    this.#inFlight.set(seq, line.length + 1);
    this.#bytes += line.length + 1;
    const { records, bytes } = this.#credit;
    const count = this.#inFlight.size;
    if (count > records || (count > 1 && this.#bytes > bytes)) {
      this.#violate(
        `${count} records of ${this.#bytes} bytes in flight, granted ${records}, ${bytes}`,
      );
    }
  }
}
