/** Texts that have to fit. */

/** A text of at most so many UTF-16 units. A character that the cut would split is left out. */
export function cut(text: string, lengthMax: number): string {
  if (text.length <= lengthMax) return text;
  return `${text.slice(0, lengthMax - 1).replace(/[\uD800-\uDBFF]$/, "")}…`;
}
