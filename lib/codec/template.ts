/** What lines of JSON of one shape say together: their value, with the places of its numbers. Pure. */
import { NUMBER_MARK, type Shape } from "./shape.ts";

/** Where a number stands: in a column. */
export class Place {
  readonly column: number;

  constructor(column: number) {
    this.column = column;
  }
}

/**
 * The value that lines of a shape have behind their first `skipped` characters, with a {@linkcode Place} for each
 * number of the shape; `undefined` where that is no JSON. Of a key that is there twice the last one counts, as in
 * JSON. A shape may come from anybody: that its lines are JSON, too, is to be seen with one of them.
 */
export function templateOf(shape: Shape, skipped = 0): unknown {
  const text = shape.text.toWellFormed();
  // What is written so could be read as a place.
  if (text.includes("\\u")) return undefined;
  let column = 0;
  for (const character of text.slice(0, skipped)) if (character === NUMBER_MARK) column++;
  // One more than what looks like it most; found in one go, as the text may consist of what looks like it.
  let mark = "place ";
  for (const [alike] of text.matchAll(/place \+*/g)) {
    if (alike.length >= mark.length) mark = alike + "+";
  }
  // Within a string of JSON the quotes end it, and what follows them is none any more.
  const json = text.slice(skipped).replaceAll(NUMBER_MARK, () => `"${mark}${column++}"`);
  try {
    return JSON.parse(json, (key, value) => {
      if (key.startsWith(mark)) throw new SyntaxError("a number is no key");
      return typeof value === "string" && value.startsWith(mark)
        ? new Place(Number(value.slice(mark.length)))
        : value;
    });
  } catch {
    return undefined;
  }
}
