/** Changes of fields in words. */

import type { FieldChange } from "../client/index.ts";
import { cutToWidth } from "./output/text.ts";
import type { View } from "./output/view.ts";

/** On a terminal; elsewhere nothing is cut. */
const valueWidthMax = 60;

/** `trigger.within: 30 -> 60`. A side without the field is shown as `(none)`. */
export function fieldChangeText(change: FieldChange, view: View): string {
  const shown = (side: "old" | "new"): string => {
    const value = change[side];
    const text = value === undefined ? "(none)" : JSON.stringify(value);
    return view.brief ? cutToWidth(text, valueWidthMax) : text;
  };
  return `${change.field}: ${shown("old")} -> ${shown("new")}`;
}
