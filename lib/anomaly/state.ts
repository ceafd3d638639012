/** Reading saved state, which may be anything: each function answers `undefined` where it is not what it must be. */

/** The fields of a state of this kind and version. */
export function fieldsOf(
  state: unknown,
  kind: string,
  version: number,
): Record<string, unknown> | undefined {
  if (typeof state !== "object" || state === null || Array.isArray(state)) return undefined;
  const fields = state as Record<string, unknown>;
  return fields["kind"] === kind && fields["version"] === version ? fields : undefined;
}

/** Exactly `count` finite numbers. */
export function numbersOf(value: unknown, count: number): number[] | undefined {
  if (!Array.isArray(value) || value.length !== count) return undefined;
  return value.every((item) => Number.isFinite(item)) ? value as number[] : undefined;
}

/** A whole number from `min` to `max`, both inclusive. */
export function integerOf(value: unknown, min: number, max: number): number | undefined {
  return Number.isInteger(value) && (value as number) >= min && (value as number) <= max
    ? value as number
    : undefined;
}
