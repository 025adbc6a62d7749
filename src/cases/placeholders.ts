/** Values for `${env.NAME}` that a case does not set. So a test needs no real secret, and means the same everywhere. */

/** Values for keys that do not take any text. */
const valuesByKey: ReadonlyMap<string, (host: string) => string> = new Map([
  ["url", (host: string) => `https://${host}/`],
  ...["from", "to", "cc", "bcc", "reply_to"].map((key) => [key, addressAt] as const),
  ["host", (host: string) => host],
  ["port", () => "587"],
  ["security", () => "starttls"],
  ["severity", () => "error"],
  ["method", () => "POST"],
  ["timeout", () => "30s"],
  ["for", () => "1h"],
  ["attempts", () => "3"],
  ["concurrency", () => "3"],
  ["rate", () => "10/s"],
]);

/**
 * A value that fits where the rules use the name: an address for a `url`, a host for a `host`, otherwise a plain text. It
 * depends on the name alone, so that two names stay apart.
 *
 * @param texts the rule files
 */
export function placeholderFor(name: string, texts: readonly string[]): string {
  const word = name.toLowerCase().replaceAll("_", "-");
  const host = `${word}.invalid`; // never resolves, by RFC 2606
  const uses = texts.flatMap((text) => usesOf(name, text));
  for (const [key, fitting] of valuesByKey) if (uses.includes(key)) return fitting(host);
  if (uses.includes(base64Prefix)) return Buffer.from(`placeholder-${word}`).toString("base64");
  return `placeholder-${word}`;
}

function addressAt(host: string): string {
  return `placeholder@${host}`;
}

/** What begins a secret whose rest is base64. */
const base64Prefix = "whsec_";

/** The keys whose values begin with the reference, alone or in a list; or the prefix before it. */
function usesOf(name: string, text: string): string[] {
  const reference = `\${env.${name}}`;
  const uses: string[] = [];
  for (let at = text.indexOf(reference); at !== -1; at = text.indexOf(reference, at + 1)) {
    if (text.endsWith(base64Prefix, at)) uses.push(base64Prefix);
    const key = keyBefore(text, at);
    if (key !== null) uses.push(key);
  }
  return uses;
}

/** What may stand between a key and the first text of its value: quotes, the beginning of a list, a block text. */
const beginnings: ReadonlySet<string> = new Set([" ", "\t", "\r", '"', "'", "[", "-", ">", "|", "+"]);

/** The key of the value that begins at a place in a YAML text; null if other text is in between. */
function keyBefore(text: string, place: number): string | null {
  const isItem = isListItem(text, place);
  let at = place - 1;
  while (at >= 0) {
    const character = text[at] ?? "";
    if (character === "\n") {
      // Another item of the same list may be above.
      at = isItem && isListItem(text, at) ? lineStart(text, at) - 1 : at - 1;
    } else if (character === "}") {
      const other = text.lastIndexOf("${", at);
      if (other === -1 || /\s/.test(text.slice(other, at))) return null;
      at = other - 1;
    } else if (character === ",") {
      // Other items of the same list in brackets.
      const open = text.lastIndexOf("[", at);
      at = open === -1 || text.slice(open, at).includes("]") ? at - 1 : open - 1;
    } else if (character === ":") {
      return keyAtEnd(text.slice(Math.max(0, at - 40), at));
    } else if (beginnings.has(character)) {
      at -= 1;
    } else {
      return null;
    }
  }
  return null;
}

function lineStart(text: string, end: number): number {
  return end === 0 ? 0 : text.lastIndexOf("\n", end - 1) + 1;
}

/** Whether the line up to a place in it begins with a hyphen. */
function isListItem(text: string, end: number): boolean {
  return text.slice(lineStart(text, end), end).trimStart().startsWith("-");
}

function keyAtEnd(text: string): string | null {
  const words = text.trimEnd().split(/[^a-z_]/);
  const [last = "", beforeQuote = ""] = words.toReversed();
  const key = last === "" ? beforeQuote : last;
  return key === "" ? null : key;
}
