/**
 * One connection as seen from outside, whatever it speaks: what is in flight by the host's own words, and what was
 * declared lost. It believes nothing that the node says of itself.
 */
import { RangeSet } from "../../lib/protocol/ranges.ts";
import { type Decoded, WireDecoder } from "../../lib/protocol/wire.ts";

/** See the head of the file. */
export class LinkTap {
  #violate: (what: string) => void;
  #credit = { records: 0, bytes: 0 };
  #inFlight = new Map<number, number>();
  #bytes = 0;
  #declared = new RangeSet();
  #toNode = new WireDecoder();
  #toHost = new WireDecoder();

  constructor(violate: (what: string) => void) {
    this.#violate = violate;
  }

  /** The host sent that. */
  received(bytes: Uint8Array): void {
    this.#read(this.#toNode.push(bytes));
  }

  /** The node sent that. */
  sent(bytes: Uint8Array): void {
    this.#readSent(this.#toHost.push(bytes));
  }

  #read(decoded: Iterable<Decoded>): void {
    for (const { lines } of decoded) {
      for (const line of lines.texts()) {
        const message = JSON.parse(line);
        if (message.credit !== undefined) this.#credit = message.credit;
        if (message.type === "ack") this.#acked(message.high_acked, message.ranges ?? []);
        if (message.type !== "welcome") continue;
        this.#readSent(this.#toHost.use(message.encoding));
        this.#read(this.#toNode.use(message.encoding));
      }
    }
  }

  #acked(highAcked: number, ranges: readonly (readonly [number, number])[]): void {
    const above = new RangeSet(ranges);
    for (const [seq, size] of this.#inFlight) {
      if (seq > highAcked && !above.has(seq)) continue;
      this.#inFlight.delete(seq);
      this.#bytes -= size;
    }
  }

  #readSent(decoded: Iterable<Decoded>): void {
    for (const { lines, bad } of decoded) {
      for (const line of lines.texts()) {
        if (line.startsWith('{"type":"telemetry"')) this.#sentRecord(line);
        else if (line.startsWith('{"type":"gap"')) {
          const { from_seq, to_seq } = JSON.parse(line);
          this.#declared.add(from_seq, to_seq);
        }
      }
      if (bad !== undefined) this.#violate(`a node sent what is none: ${bad.message}`);
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
