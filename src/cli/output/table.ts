/** Tables that fit the terminal. */

import { paint, type Style } from "./style.ts";
import { cutToWidth, printable, widthOf } from "./text.ts";
import type { View } from "./view.ts";

export interface TableColumn<Row> {
  readonly heading: string;
  readonly cell: (row: Row) => string;
  readonly style?: (row: Row) => Style | null;
  readonly alignRight?: boolean;
  /**
   * The column may shrink to this width where the terminal is too narrow for all. Columns without it keep theirs as
   * long as they can.
   */
  readonly widthMin?: number;
}

const gap = "  ";

/** What any column may shrink to in the end, so that lines never wrap. */
const lastWidthMin = 6;

/** Rows below a heading, in columns; cut to the width of the view. */
export function table<Row>(columns: readonly TableColumn<Row>[], rows: readonly Row[], view: View): string {
  const cells = rows.map((row) => columns.map(({ cell }) => printable(cell(row))));
  const naturalWidths = columns.map(({ heading }, index) =>
    Math.max(widthOf(heading), ...cells.map((texts) => widthOf(texts[index] ?? ""))),
  );
  const widths = view.width === null ? naturalWidths : shrink(naturalWidths, columns, view.width);
  const lineOf = (texts: readonly string[], styleOf: (index: number) => Style | null): string => {
    const padded = texts.map((text, index) => {
      const width = widths[index] ?? 0;
      const cut = cutToWidth(text, width);
      const padding = " ".repeat(Math.max(0, width - widthOf(cut)));
      const style = styleOf(index);
      const painted = style === null || cut === "" ? cut : paint(cut, style, view.colored);
      if (columns[index]?.alignRight === true) return padding + painted;
      return index === texts.length - 1 ? painted : painted + padding;
    });
    return padded.join(gap).trimEnd();
  };
  return [
    lineOf(
      columns.map(({ heading }) => heading),
      () => "bold",
    ),
    ...rows.map((row, at) => lineOf(cells[at] ?? [], (index) => columns[index]?.style?.(row) ?? null)),
  ].join("\n");
}

/** Takes from the widest column that may shrink, until all fit. */
function shrink<Row>(
  natural: readonly number[],
  columns: readonly TableColumn<Row>[],
  width: number,
): number[] {
  const widths = [...natural];
  const widthsMin = columns.map(({ widthMin }, index) => widthMin ?? natural[index] ?? 0);
  for (const minimums of [widthsMin, columns.map(() => lastWidthMin)]) {
    for (;;) {
      const total = widths.reduce((sum, each) => sum + each, 0) + gap.length * (columns.length - 1);
      if (total <= width) return widths;
      let widest = -1;
      for (const [index, each] of widths.entries()) {
        if (each > (minimums[index] ?? 0) && each > (widths[widest] ?? 0)) widest = index;
      }
      if (widest === -1) break;
      widths[widest] = (widths[widest] ?? 0) - 1;
    }
  }
  return widths;
}

export type Field = readonly [name: string, value: string, style?: Style];

/** Names and values, one below the other. */
export function fields(rows: readonly Field[], view: View): string {
  const nameWidth = Math.max(0, ...rows.map(([name]) => name.length));
  const lines = rows.map(([name, value, style]) => {
    const text = printable(value);
    const painted = style === undefined ? text : paint(text, style, view.colored);
    return `${paint(name.padEnd(nameWidth), "dim", view.colored)}${gap}${painted}`;
  });
  return lines.join("\n");
}
