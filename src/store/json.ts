/**
 * JSON that every program can read.
 *
 * Half of a surrogate pair, which is what remains of an emoji where a text was cut in two, is JSON to some parsers and a
 * mistake to others, Prefect's client among them: one event that holds it would end every stream that it is in. So no
 * half is written to Redis; and where another program wrote one, it goes no further than the reader.
 */

/** As `JSON.stringify`, with each half of a surrogate pair replaced by U+FFFD. */
export function encodeJson(value: unknown): string {
  return wellFormedJson(JSON.stringify(value));
}

/** As `JSON.parse`, with each half of a surrogate pair replaced by U+FFFD. @throws SyntaxError */
export function decodeJson(text: string): unknown {
  return JSON.parse(wellFormedJson(text));
}

function wellFormedJson(json: string): string {
  // What Redis returns was decoded from UTF-8, so a half can only be in an escape.
  if (!json.includes("\\ud") && !json.includes("\\uD")) return json;
  // Each escape is taken whole, for the second backslash of two begins none; and so is each pair that someone escaped.
  return json.replaceAll(
    /\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)/g,
    (whole, half?: string) => (half === undefined ? whole : "\ufffd"),
  );
}
