/** A picture of a series with its events and labels, as SVG text: the lowest and highest of each column. */
import type { Window } from "./evaluate.ts";

/** What is drawn. Rows without a value are NaN. */
export interface Plot {
  readonly title: string;
  readonly values: Float64Array;
  readonly scores: Float64Array;
  readonly events: readonly Window[];
  readonly labels: readonly Window[];
}

const WIDTH = 1_200, HEIGHT = 300, SCORE_HEIGHT = 80, LEFT = 10, TOP = 30;
const COLUMNS = 1_100;

function escape(text: string): string {
  return text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}

/** The band between the lowest and highest value of each column, as a path. */
function band(values: Float64Array, top: number, height: number): string {
  let low = Infinity, high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  const y = (value: number) =>
    (top + height - height * (high > low ? (value - low) / (high - low) : 0.5)).toFixed(1);
  const columns = Math.min(COLUMNS, values.length);
  const parts: string[] = [];
  for (let column = 0; column < columns; column++) {
    const from = Math.floor(column * values.length / columns);
    const to = Math.max(from + 1, Math.floor((column + 1) * values.length / columns));
    let least = Infinity, most = -Infinity;
    for (let at = from; at < to; at++) {
      if (values[at]! < least) least = values[at]!;
      if (values[at]! > most) most = values[at]!;
    }
    if (least > most) continue;
    const x = (LEFT + column * COLUMNS / columns).toFixed(1);
    parts.push(`${parts.length === 0 ? "M" : "L"}${x} ${y(least)}L${x} ${y(most)}`);
  }
  return parts.join("");
}

/** The picture; labels are the wide bars, events the narrow ones. */
export function plotSvg({ title, values, scores, events, labels }: Plot): string {
  const x = (row: number) => LEFT + COLUMNS * row / Math.max(1, values.length);
  const bar = ([from, to]: Window, style: string) =>
    `<rect x="${x(from).toFixed(1)}" y="${TOP}" width="${
      Math.max(2, x(to + 1) - x(from)).toFixed(1)
    }" height="${HEIGHT + SCORE_HEIGHT + 20}" ${style}/>`;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${
      TOP + HEIGHT + SCORE_HEIGHT + 40
    }" font-family="system-ui,sans-serif" font-size="14">`,
    `<rect width="100%" height="100%" fill="#fff"/>`,
    `<text x="${LEFT}" y="20">${
      escape(title)
    }: ${events.length} events (red), ${labels.length} labels (green); below, the score</text>`,
    ...labels.map((label) => bar(label, 'fill="#2a8a4a" fill-opacity="0.25"')),
    ...events.map((event) => bar(event, 'fill="#c0392b" fill-opacity="0.5"')),
    `<path d="${band(values, TOP, HEIGHT)}" fill="none" stroke="#245a8d"/>`,
    `<path d="${band(scores, TOP + HEIGHT + 20, SCORE_HEIGHT)}" fill="none" stroke="#666"/>`,
    "</svg>\n",
  ].join("\n");
}
