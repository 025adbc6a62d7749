/** Finds the line and column of a part of an automation. */

import type { Place } from "../rules/diagnostic.ts";
import type { RuleEntry, RuleMapping, RuleNode } from "../rules/rule-tree.ts";
import type { RulePath } from "./warning.ts";

/**
 * The place of the part at `path`: of a plain value itself, or of the key of a list or mapping. If it is not written out,
 * the place of the nearest part around it that is.
 */
export function placeOf(tree: RuleMapping, path: RulePath): Place {
  let node: RuleNode = tree;
  let place = tree.place;
  for (const step of path) {
    if (node.kind === "mapping") {
      const entry: RuleEntry | undefined = node.entries.get(String(step));
      if (entry === undefined) break;
      place = entry.node.kind === "scalar" ? entry.node.place : entry.keyPlace;
      node = entry.node;
    } else if (node.kind === "list") {
      const item: RuleNode | undefined = node.items[Number(step)];
      if (item === undefined) break;
      place = item.place;
      node = item;
    } else break;
  }
  return place;
}

/** True when the key at the end of `path` is written out and not a default. */
export function isWritten(tree: RuleMapping, path: RulePath): boolean {
  let node: RuleNode | undefined = tree;
  for (const step of path) {
    if (node?.kind === "mapping") node = node.entries.get(String(step))?.node;
    else if (node?.kind === "list") node = node.items[Number(step)];
    else return false;
  }
  return node !== undefined;
}
