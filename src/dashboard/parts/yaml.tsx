/** YAML with its parts in color: by the parser of CodeMirror, without its editor. */

import { classHighlighter, highlightTree } from "@lezer/highlight";
import { parser } from "@lezer/yaml";
import type { ReactNode } from "react";

interface Piece {
  readonly from: number;
  readonly text: string;
  readonly className: string | undefined;
}

export default function Yaml({ text }: { readonly text: string }): ReactNode {
  return (
    // The text may be wider than its place, so the keyboard must be able to scroll it.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region needs the focus
    <section className="code" tabIndex={0} aria-label="The rule as YAML">
      <pre className="yaml">
        {piecesOf(text).map(({ from, text: piece, className }) => (
          <span key={from} className={className}>
            {piece}
          </span>
        ))}
      </pre>
    </section>
  );
}

function piecesOf(text: string): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  const add = (from: number, to: number, className: string | undefined) => {
    if (to > from) pieces.push({ from, text: text.slice(from, to), className });
    end = to;
  };
  highlightTree(parser.parse(text), classHighlighter, (from, to, className) => {
    add(end, from, undefined);
    add(from, to, className);
  });
  add(end, text.length, undefined);
  return pieces;
}
