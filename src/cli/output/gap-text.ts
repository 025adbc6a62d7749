/** What a time in which nobody could post means for a window, as a person reads it. */

import type { Window } from "../../client/index.ts";
import { timeText } from "./times.ts";
import type { View } from "./view.ts";

/** Why the end of a window has moved; empty if it has not. */
export function movedText({ gaps }: Pick<Window, "gaps">, view: View): string {
  const times = gaps.map(({ from, to }) => `from ${timeText(from, view)} to ${timeText(to, view)}`);
  return times.length === 0 ? "" : `, moved: nobody could post ${times.join(" and ")}`;
}

/** Why a window that has ended is not judged. @param since RFC 3339 */
export function heldText(since: string, view: View): string {
  return `held: nobody could post since ${timeText(since, view)}`;
}
