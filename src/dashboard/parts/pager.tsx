/** Goes through a list page by page. */

import type { ReactNode } from "react";
import { countText } from "./numbers.ts";

export interface PagerProps {
  /** How many rows come before this page. */
  readonly offset: number;
  /** How many are on it. */
  readonly count: number;
  /** How many there are in all. */
  readonly total: number;
  /** The offset of the next page; null on the last. */
  readonly next: number | null;
  readonly pageSize: number;
  readonly onOffset: (offset: number) => void;
}

export function Pager({ offset, count, total, next, pageSize, onOffset }: PagerProps): ReactNode {
  if (offset === 0 && next === null) return null;
  return (
    <div className="pages">
      <button type="button" disabled={offset === 0} onClick={() => onOffset(Math.max(0, offset - pageSize))}>
        Back
      </button>
      <span className="muted">
        {countText(offset + 1)} to {countText(offset + count)} of {countText(total)}
      </span>
      <button type="button" disabled={next === null} onClick={() => onOffset(next ?? 0)}>
        More
      </button>
    </div>
  );
}
