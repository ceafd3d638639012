/** Noise that repeats itself for a seed. */
import { assert } from "@std/assert";
import { seededRandom } from "../../lib/platform/seeded_random.ts";

/** A source of standard normal numbers (Box and Muller). */
export function gaussian(seed: number): () => number {
  const random = seededRandom(seed);
  let spare: number | undefined;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((random.below(2 ** 31) + 1) / (2 ** 31 + 1)));
    const angle = (2 * Math.PI * random.below(2 ** 31)) / 2 ** 31;
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
}

/** Throws where two numbers are further apart than rounding, or `within`, explains. */
export function assertNear(actual: number, expected: number, within = 1e-7): void {
  const distance = Math.abs(actual - expected);
  assert(distance <= within, `${actual} instead of ${expected}: ${distance} apart`);
}
