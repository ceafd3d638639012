/**
 * Spec strings: how a setting names one of several kinds of a thing with its options in one text, as in
 * `file:name=temp_c,path=/sys/x,scale=0.001`. Values that hold commas, quotes or spaces stand in single or
 * double quotes; a backslash inside quotes takes the next character as it is.
 */

/** A spec string, read. */
export interface Spec {
  readonly kind: string;
  /** Options in the order given; a key given twice is an error. */
  readonly options: ReadonlyMap<string, string>;
}

/** Reads a spec string. Throws a `SyntaxError` of one line that names the text and the fault. */
export function parseSpec(text: string): Spec {
  const fail = (what: string) => new SyntaxError(`"${text}": ${what}`);
  const colon = text.indexOf(":");
  const kind = (colon < 0 ? text : text.slice(0, colon)).trim();
  if (!/^[a-z][a-z0-9_]*$/.test(kind)) throw fail("must start with a kind in lower-case letters");
  const options = new Map<string, string>();
  if (colon < 0) return { kind, options };
  let at = colon + 1;
  while (at < text.length) {
    const equals = text.indexOf("=", at);
    if (equals < 0) throw fail(`"${text.slice(at)}" must be key=value`);
    const key = text.slice(at, equals).trim();
    if (!/^[a-z][a-z0-9_]*$/.test(key)) throw fail(`"${key}" is not the name of an option`);
    if (options.has(key)) throw fail(`option ${key} is given twice`);
    let value = "";
    at = equals + 1;
    const quote = text[at];
    if (quote === "'" || quote === '"') {
      at++;
      while (at < text.length && text[at] !== quote) {
        if (text[at] === "\\" && at + 1 < text.length) at++;
        value += text[at++];
      }
      if (at >= text.length) throw fail(`the quote of option ${key} is not closed`);
      at++;
      if (at < text.length && text[at] !== ",") throw fail(`a comma must follow option ${key}`);
    } else {
      const comma = text.indexOf(",", at);
      const end = comma < 0 ? text.length : comma;
      value = text.slice(at, end).trim();
      at = end;
    }
    options.set(key, value);
    at++;
  }
  return { kind, options };
}

/** The words of a command line; quotes keep words together. */
export function wordsOf(command: string): string[] {
  const words: string[] = [];
  for (const match of command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)) {
    words.push(match[1] ?? match[2] ?? match[3]!);
  }
  return words;
}

/** What a reader of texts throws, as one line; `undefined` where it reads. */
export function wrongIn(read: () => unknown): string | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}
