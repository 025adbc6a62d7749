/** Tables of a document, as their readers see them. */

/**
 * The cells of a table under a heading, row by row, without the row of titles. A cell that is code is the code.
 *
 * @param table which one, counted from 0
 * @throws Error when there is none
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
      .map((cell) => plain(cell.trim())),
  );
}

/** As GitHub reads a cell: `\|` is a bar, also in code; code keeps the spaces inside its backticks. */
function plain(cell: string): string {
  const text = cell.replaceAll("\\|", "|");
  const [, code] = /^`([^`]*)`$/.exec(text) ?? [];
  return code ?? text;
}
