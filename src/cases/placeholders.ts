/** Values for `${env.NAME}` that a case does not set. So a test needs no real secret, and means the same everywhere. */

/**
 * A value that fits where the rules use the name: an address for a `url`, a host for a `host`, otherwise a plain text. It
 * depends on the name alone, so that two names stay apart.
 *
 * @param texts the rule files
 */
export function placeholderFor(name: string, texts: readonly string[]): string {
  const word = name.toLowerCase().replaceAll("_", "-");
  const host = `${word}.invalid`; // never resolves, by RFC 2606
  const isUsed = (keys: string) => {
    const use = new RegExp(`\\b(?:${keys})["']?\\s*:\\s*(?:\\[\\s*)?["']?\\$\\{env\\.${name}\\}`);
    return texts.some((text) => use.test(text));
  };
  if (isUsed("url")) return `https://${host}/`;
  if (isUsed("from|to|cc|bcc|reply_to")) return `placeholder@${host}`;
  return isUsed("host") ? host : `placeholder-${word}`;
}
