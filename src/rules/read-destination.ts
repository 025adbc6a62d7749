/** Reads one destination of a rule file, with every mistake in it. */

import { type Destination, DestinationSchema, destinationIdOf } from "../core/model/destination.ts";
import { mentionsReferences } from "../core/model/reference.ts";
import { substitute } from "../templates/environment.ts";
import { type NamedPlace, nameIn, type ReadContext } from "./read-automation.ts";
import { mapEntries, mapScalars, type RuleMapping, type RuleMistake, type RuleNode } from "./rule-tree.ts";
import { validate } from "./validate.ts";

export interface ReadDestination {
  /** Null when there are mistakes. */
  readonly destination: Destination | null;
  readonly mistakes: readonly RuleMistake[];
  /** Its name, even when something else is wrong. */
  readonly name: NamedPlace | null;
}

/** Keys whose values are not repeated in messages. */
const secretKeys: readonly string[] = ["url", "headers", "secret", "routing_key", "password"];

export function readDestination(
  tree: RuleMapping,
  { workspace, env, now, file }: Pick<ReadContext, "workspace" | "env" | "now" | "file">,
): ReadDestination {
  const mistakes: RuleMistake[] = [];
  const unresolved = new Set<RuleNode>();
  const root = mapEntries(tree, (key, node) =>
    mapScalars(node, (scalar) => {
      const hidden = secretKeys.includes(key) ? { written: "this text" } : {};
      if (typeof scalar.value !== "string") return scalar;
      if (!mentionsReferences(scalar.value)) return { ...scalar, ...hidden };
      const { text, problems } = substitute(scalar.value, env);
      for (const message of problems) mistakes.push({ place: scalar.place, message });
      const filled = { ...scalar, value: text, written: scalar.value };
      if (problems.length > 0) unresolved.add(filled);
      return filled;
    }),
  );
  const name = nameIn(root);
  const { value: definition, mistakes: inShape } = validate(DestinationSchema, root, unresolved);
  const all = [...mistakes, ...inShape];
  if (definition === null || all.length > 0) return { destination: null, mistakes: all, name };
  const id = destinationIdOf(workspace, definition.name);
  const source = { kind: "file", file } as const;
  return { destination: { id, definition, source, created: now, updated: now }, mistakes: [], name };
}
