/** What can be wrong with a template. */

/** A template is invalid or cannot be rendered, for a reason that the rule's author can act on. */
export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** Adds the place to a problem: `… (line 2, column 5 of the template)`. @param at in UTF-16 units */
export function problemAt(source: string, at: number, problem: string): string {
  const lines = source.slice(0, at).split("\n");
  const column = [...(lines.at(-1) ?? "")].length + 1;
  const line = source.includes("\n") ? `line ${lines.length}, ` : "";
  return `${problem} (${line}column ${column} of the template)`;
}
