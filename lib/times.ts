/** Points in time as people give them. Pure. */

/** The forms that {@linkcode parseTime} reads, for help and errors. */
export const TIME_FORMS =
  "milliseconds since 1970, a date like 2026-11-24T10:00:00Z, or -15m, -24h, -7d";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** Milliseconds of a span as `90s`, `15m`, `24h` or `7d`; `undefined` where the text is none. */
export function parseSpan(text: string): number | undefined {
  const span = /^(\d{1,9})([smhd])$/.exec(text);
  return span === null ? undefined : Number(span[1]) * UNIT_MS[span[2]!]!;
}

/** Milliseconds since 1970, or `undefined` where the text is none of {@linkcode TIME_FORMS}. */
export function parseTime(text: string, nowMs: number): number | undefined {
  const agoMs = text.startsWith("-") ? parseSpan(text.slice(1)) : undefined;
  if (agoMs !== undefined) return nowMs - agoMs;
  const ms = /^\d{1,16}(?:\.\d+)?$/.test(text) ? Number(text) : Date.parse(text);
  return Number.isFinite(ms) ? ms : undefined;
}
