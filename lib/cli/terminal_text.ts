/**
 * Text for a terminal: nothing from the network may act on it, and what is painted or cut keeps its columns.
 * Pure.
 */

/** Roles of text; what they look like is `ansi`'s matter. */
export type Style = "bad" | "warn" | "info" | "ok" | "dim" | "bold" | "bar";

/** Gives text its look. Text must be clean and have its final width. */
export type Paint = (style: Style, text: string) => string;

const CODES: Readonly<Record<Style, string>> = {
  bad: "1;31",
  warn: "33",
  info: "36",
  ok: "32",
  dim: "2",
  bold: "1",
  bar: "7",
};

/** For pipes, files and NO_COLOR. */
export function plain(_style: Style, text: string): string {
  return text;
}
/** Plain ANSI, which every terminal since the VT100 knows. */
export function ansi(style: Style, text: string): string {
  return `\x1b[${CODES[style]}m${text}\x1b[0m`;
}

/** Controls, direction marks and other signs without a shape, line separators, halves of pairs. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;
const MARK = /^\p{M}$/u;
/** First and last code points of what takes two columns: East Asian scripts and pictures. */
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x2e80, 0x303e],
  [0x3041, 0xa4cf],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x1f300, 0x1faff],
  [0x20000, 0x3fffd],
];

/** The text with everything that a terminal could obey, or that would hide, shown as U+FFFD. */
export function clean(text: string): string {
  return text.replaceAll(UNSAFE, "\ufffd");
}

/** JSON whose every unsafe character is escaped, also those that `JSON.stringify` leaves as they are. */
export function safeJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, undefined, indent) ?? "null";
  return text.replaceAll(UNSAFE, (found) =>
    // The only raw line feeds are those of the indentation.
    found === "\n" ? found : found.replaceAll(
      /[^]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    ));
}

function columnsOf(character: string): number {
  const code = character.codePointAt(0)!;
  if (code < 0x300) return 1;
  if (MARK.test(character)) return 0;
  return WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

/** Columns that clean text takes. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) width += columnsOf(character);
  return width;
}

/** The text in at most `width` columns; what was cut is shown as `…`. */
export function clip(text: string, width: number): string {
  if (widthOf(text) <= width) return text;
  if (width < 1) return "";
  let kept = "", used = 0;
  for (const character of text) {
    used += columnsOf(character);
    if (used > width - 1) break;
    kept += character;
  }
  return kept + "…";
}

/** The text in exactly `width` columns, cut or filled with spaces; `right` fills before it. */
export function pad(text: string, width: number, right: boolean = false): string {
  const kept = clip(text, width);
  const fill = " ".repeat(Math.max(0, width - widthOf(kept)));
  return right ? fill + kept : kept + fill;
}

/** A piece of a line and its look. */
export type Piece = string | readonly [Style, string];

/** One line from pieces, cut at `width` columns. Pieces must be clean. */
export function lineOf(pieces: readonly Piece[], width: number, paint: Paint): string {
  let line = "", left = width;
  for (const piece of pieces) {
    if (left <= 0) break;
    const text = typeof piece === "string" ? piece : piece[1];
    const kept = clip(text, left);
    left -= kept === text ? widthOf(text) : left;
    line += typeof piece === "string" || kept.trim() === "" ? kept : paint(piece[0], kept);
  }
  return line.trimEnd();
}

/** A duration as a person says it. */
export function duration(ms: number): string {
  const size = Math.abs(ms);
  if (size < 1_000) return `${Math.round(ms)} ms`;
  if (size < 10_000) return `${(ms / 1_000).toFixed(1)} s`;
  if (size < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (size < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  if (size < 172_800_000) return `${Math.round(ms / 3_600_000)} h`;
  return `${Math.round(ms / 86_400_000)} d`;
}

const SCALES = [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]] as const;

/** A count or size in three digits: 950, 12.3 k, 4.5 M. */
export function short(value: number): string {
  for (const [scale, letter] of SCALES) {
    // 999 950 would round to 1000 k.
    if (value < scale * 0.99995 || value < 10_000) continue;
    const scaled = value / scale;
    return `${scaled.toFixed(scaled < 99.95 ? 1 : 0)} ${letter}`;
  }
  return String(Math.round(value));
}

/** A measured value: six digits at most. */
export function measure(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** Time of day, UTC, of milliseconds since 1970; `?` where that is none. */
export function timeOfDay(wallMs: number): string {
  const date = new Date(wallMs);
  return Number.isNaN(date.getTime()) ? "?" : date.toISOString().slice(11, 23);
}
