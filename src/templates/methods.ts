/** The methods of values: `event.event.split(".")`. */

import { isNumber } from "../core/json/exact-number.ts";
import {
  capitalize,
  type FilterOperation,
  formatted,
  items,
  keys,
  listOf,
  lower,
  numberOf,
  operation,
  replace,
  strip,
  title,
  trim,
  upper,
  values,
  zoned,
} from "./operations.ts";
import { TemplateError } from "./template-error.ts";
import { inTimezone, timestampOf, weekdayOf } from "./times.ts";
import { entryOf, isMapping, isMissing, textOf, type Value } from "./values.ts";

/** The methods of texts. Some need a text that is a time. */
export const textMethods: ReadonlyMap<string, FilterOperation> = new Map([
  ["capitalize", capitalize],
  ["endswith", operation(["suffix"], (input, [suffix]) => String(input).endsWith(String(suffix)))],
  ["in_timezone", zoned],
  ["isoformat", operation([], (input) => inTimezone(String(input), "UTC").replace("Z", "+00:00"))],
  [
    "join",
    operation(["list"], (input, [list], budget) => {
      const items = listOf(list ?? undefined);
      budget.spendOnCharacters(items.length * String(input).length);
      return items.map((item) => textOf(item, budget)).join(String(input));
    }),
  ],
  ["lower", lower],
  ["lstrip", strip(true, false)],
  [
    "removeprefix",
    operation(["prefix"], (input, [prefix], budget) => {
      const [text, start] = [String(input), textOf(prefix, budget)];
      return text.startsWith(start) ? text.slice(start.length) : text;
    }),
  ],
  [
    "removesuffix",
    operation(["suffix"], (input, [suffix], budget) => {
      const [text, end] = [String(input), textOf(suffix, budget)];
      return end !== "" && text.endsWith(end) ? text.slice(0, -end.length) : text;
    }),
  ],
  ["replace", replace],
  [
    "rsplit",
    operation(["sep", "maxsplit"], (input, [separator, maxSplit], budget) => {
      const text = String(input);
      if (separator === "") throw new TemplateError("rsplit needs a separator that is not empty");
      const parts = isMissing(separator) ? text.trim().split(/\s+/) : text.split(textOf(separator, budget));
      budget.spend(parts.length);
      const max = numberOf(maxSplit ?? -1, "rsplit: maxsplit");
      if (max < 0 || parts.length <= max + 1) return parts;
      const cut = parts.length - max;
      return [parts.slice(0, cut).join(isMissing(separator) ? " " : String(separator)), ...parts.slice(cut)];
    }),
  ],
  ["rstrip", strip(false, true)],
  [
    "split",
    operation(["sep", "maxsplit"], (input, [separator, maxSplit], budget) => {
      const text = String(input);
      if (separator === "") throw new TemplateError("split needs a separator that is not empty");
      const between = isMissing(separator) ? /\s+/ : textOf(separator, budget);
      const parts = (isMissing(separator) ? text.trim() : text).split(between);
      budget.spend(parts.length);
      const max = numberOf(maxSplit ?? -1, "split: maxsplit");
      if (max < 0 || parts.length <= max + 1) return parts;
      return [
        ...parts.slice(0, max),
        parts.slice(max).join(isMissing(separator) ? " " : textOf(separator, budget)),
      ];
    }),
  ],
  ["startswith", operation(["prefix"], (input, [prefix]) => String(input).startsWith(String(prefix)))],
  ["strftime", formatted],
  ["strip", trim],
  ["timestamp", operation([], (input) => timestampOf(String(input)))],
  ["title", title],
  ["upper", upper],
  ["weekday", operation([], (input) => weekdayOf(String(input)))],
]);

/** The methods of mappings. */
export const mappingMethods: ReadonlyMap<string, FilterOperation> = new Map([
  [
    "find_resource_label",
    operation(["label"], (input, [label], budget) => {
      const name = textOf(label, budget);
      if (!name.startsWith("related:")) return entryOf(entryOf(input, "resource"), name);
      const [, role = "", ...rest] = name.split(":");
      const related = listOf(entryOf(input, "related"));
      budget.spend(related.length);
      const found = related.find((each) => entryOf(each, "prefect.resource.role") === role);
      return entryOf(found, rest.join(":"));
    }),
  ],
  [
    "get",
    operation(["key", "default"], (input, [key, value = null]) => entryOf(input, String(key)) ?? value),
  ],
  ["items", items],
  ["keys", keys],
  ["values", values],
]);

/** The methods of numbers. A difference of times is one, and Python's has this method. */
export const numberMethods: ReadonlyMap<string, FilterOperation> = new Map([
  ["total_seconds", operation([], (input) => input)],
]);

/** The methods of a value; undefined if it has none. */
export function methodsOf(value: Value): ReadonlyMap<string, FilterOperation> | undefined {
  if (typeof value === "string") return textMethods;
  if (isNumber(value)) return numberMethods;
  return isMapping(value) ? mappingMethods : undefined;
}
