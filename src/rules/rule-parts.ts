/** Splits a rule file into its parts: automations, hooks and destinations. */

import { destinationTypes } from "../core/model/destination.ts";
import { nearMiss } from "../core/model/near-miss.ts";
import type { Place } from "./diagnostic.ts";
import { listed, shown } from "./mistake-message.ts";
import { parseRuleText, type RuleMapping, type RuleNode } from "./rule-tree.ts";

/** The lists that a document may contain, and what an item of each is called. */
const lists = {
  automations: { item: "an automation", remedy: "write name:, trigger: and actions:" },
  hooks: { item: "a hook", remedy: "write name:, signature: and template:" },
  destinations: { item: "a destination", remedy: "write name:, type: and its address" },
} as const;

export type ListName = keyof typeof lists;

/** The keys that a document may have, and the list that each stands for. `webhooks` is the former name of hooks. */
const listKeys: ReadonlyMap<string, ListName> = new Map<string, ListName>([
  ...(Object.keys(lists) as ListName[]).map((name) => [name, name] as const),
  ["webhooks", "hooks"],
]);

/** One item of a rule file, and the list that it belongs to. */
export interface RulePart {
  readonly list: ListName;
  readonly tree: RuleMapping;
}

export type ReportMistake = (place: Place, message: string) => void;

/** The parts of a rule file, in order. */
export function readRuleParts(text: string, report: ReportMistake): RulePart[] {
  if (text.trim() === "") {
    // The file is probably being written right now. Reading it as "no automations" would delete them.
    report({ line: 1, column: 1 }, "this file is empty; write an automation, or remove the file");
    return [];
  }
  const { documents, mistakes } = parseRuleText(text);
  for (const { place, message } of mistakes) report(place, message);
  return documents.flatMap((document) => partsOf(document, report));
}

function partsOf(document: RuleNode, report: ReportMistake): RulePart[] {
  // Prefect's own files may be a plain list.
  if (document.kind === "list") return itemsOf("automations", document.items, report);
  if (document.kind !== "mapping") {
    const message = `a document should be an automation, or contain a list of them; found ${shown(document)}`;
    report(document.place, message);
    return [];
  }
  const named = listsIn(document);
  if (named.size === 0)
    return [{ list: isDestination(document) ? "destinations" : "automations", tree: document }];
  return [...document.entries].flatMap(([key, { keyPlace, node }]) => {
    const list = named.get(key);
    if (list === undefined) {
      const beside = listed([...new Set(named.values())], "and");
      report(keyPlace, `unknown key \`${key}\` next to ${beside}; put it into an automation, or remove it`);
      return [];
    }
    if (!listKeys.has(key)) report(keyPlace, `unknown key \`${key}\`; did you mean \`${list}\`?`);
    if (node.kind === "list") return itemsOf(list, node.items, report);
    const itemNoun = lists[list].item.replace(/^an? /, "");
    report(node.place, `${list} should be a list; begin each ${itemNoun} with a hyphen`);
    return [];
  });
}

/** True for a document that is a destination. It is recognized by its type, which automations do not have. */
function isDestination({ entries }: RuleMapping): boolean {
  const type = entries.get("type")?.node;
  return type?.kind === "scalar" && destinationTypes.has(String(type.value)) && !entries.has("trigger");
}

function itemsOf(list: ListName, items: readonly RuleNode[], report: ReportMistake): RulePart[] {
  const { item: itemNoun, remedy } = lists[list];
  return items.flatMap((item) => {
    if (item.kind === "mapping") return [{ list, tree: item }];
    report(item.place, `${itemNoun} should be a mapping; found ${shown(item)}; ${remedy}`);
    return [];
  });
}

/** The keys of the document's lists, even if misspelled. Empty when the document is an automation itself. */
function listsIn({ entries }: RuleMapping): Map<string, ListName> {
  const found = new Map([...listKeys].filter(([key]) => entries.has(key)));
  if (found.size === 0 && (entries.has("trigger") || entries.has("name"))) return found;
  for (const [key, { node }] of entries) {
    if (node.kind !== "list" || found.has(key)) continue;
    const free = [...listKeys.keys()].filter((known) => !entries.has(known));
    const list = listKeys.get(nearMiss(key, free)?.word ?? "");
    if (list !== undefined) found.set(key, list);
  }
  return found;
}
