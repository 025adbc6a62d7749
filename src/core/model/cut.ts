/** Shortens texts. */

/** Cuts a text to at most `lengthMax` UTF-16 units. A character that the cut would split is left out. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text.slice(0, lengthMax - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}
