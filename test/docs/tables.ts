/** The tables of a document, as readers see them. */

/**
 * The cells of a table under a heading, row by row, without the header row. Code loses its backticks.
 *
 * @param table which one, counted from 0
 * @throws Error if there is none
 */
export function rowsUnder(markdown: string, heading: string, table = 0): string[][] {
  const section = markdown.split(/^#+ /m).find((part) => part.startsWith(`${heading}\n`)) ?? "";
  const found = section.match(/(?:^\|.*\n)+/gm)?.[table];
  if (found === undefined) throw new Error(`there is no table ${table} under "${heading}"`);
  const [, , ...rows] = found.trimEnd().split("\n");
  return rows.map((row) =>
    row
      .slice(1, -1)
      .split(/(?<!\\)\|/)
      .map((cell) => cellText(cell.trim())),
  );
}

/** Reads a cell as GitHub does: `\|` is a bar, even in code, and code keeps the spaces inside its backticks. */
function cellText(cell: string): string {
  const text = cell.replaceAll("\\|", "|");
  const [, code] = /^`([^`]*)`$/.exec(text) ?? [];
  return code ?? text;
}
