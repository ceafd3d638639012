import { assert, assertEquals } from "@std/assert";
import { Flight } from "../../lib/node/flight.ts";
import { Window } from "../../lib/node/window.ts";

const all = () => true;

/** The window after acks that took so long each. */
function after(...tookMs: readonly number[]): number {
  const window = new Window();
  let now = 1_000;
  for (const ms of tookMs) {
    window.sent(1, now);
    window.acked(all, now += ms);
  }
  return window.bytes;
}

Deno.test("the window grows while acks come soon, shrinks when they come late, and has bounds", () => {
  const first = after();
  assertEquals(after(0), 2 * first);
  assertEquals(after(250, 250), 4 * first);
  assertEquals(after(251, 999), first);
  assertEquals(after(1_000), first / 2);
  assertEquals(after(...new Array(50).fill(0)), 32 * first);
  assertEquals(after(...new Array(50).fill(5_000)), first / 2);
  assertEquals(after(0, 0, 1_000), 2 * first);
});

Deno.test("the window minds the record that it waits for, and no other's ack", () => {
  const window = new Window();
  const { bytes } = window;
  window.acked(all, 0);
  window.sent(7, 0);
  window.sent(8, 900);
  window.acked((seq) => seq === 8, 950);
  assertEquals(window.bytes, bytes, "7 is still waited for");
  window.acked(all, 2_000);
  assertEquals(window.bytes, bytes / 2);
});

Deno.test("what is in flight is what was sent and not acked, in whatever order acks come", () => {
  const flight = new Flight();
  for (let seq = 1; seq <= 9; seq++) flight.add(seq, 10 * seq);
  flight.settle((seq) => seq % 2 === 0);
  assertEquals([flight.records, flight.bytes], [5, 250]);
  flight.add(10, 1);
  flight.settle((seq) => seq === 1 || seq === 10);
  assertEquals([flight.records, flight.bytes], [4, 240]);
  flight.settle(all);
  assertEquals([flight.records, flight.bytes], [0, 0]);
  assert(flight.bytes === 0);
});
