/** An automation that no watched file defines, as lint sees it: how it is written, and the tree of that. */

import type { Automation } from "../core/model/automation.ts";
import type { RuleText } from "../core/model/rule-text.ts";
import type { RuleSource } from "./load.ts";
import { parseRuleText, type RuleMapping } from "./rule-tree.ts";
import { ruleYamlOf } from "./write-rule.ts";

export class WrittenRule implements RuleSource {
  /** Its own id stands for the file, so that no two are confused. */
  readonly file: string;
  /** As it was written; null if the tree is that of the YAML that is made from its definition. */
  readonly text: RuleText | null;
  readonly #automation: Automation;
  #tree: RuleMapping | null;

  /** @param text as it was written, if that is known */
  constructor(automation: Automation, text: RuleText | null) {
    this.file = automation.id;
    this.#automation = automation;
    // It may refer to an anchor in another part of its file. Then it cannot be read alone.
    this.#tree = text === null ? null : treeIn(text.yaml);
    this.text = this.#tree === null ? null : text;
  }

  /** Made when it is first asked for: of thousands of automations, few have warnings. */
  get tree(): RuleMapping {
    this.#tree ??= treeIn(ruleYamlOf(this.#automation)) ?? emptyTree;
    return this.#tree;
  }
}

/** Every place is the first line. */
const emptyTree: RuleMapping = {
  kind: "mapping",
  place: { line: 1, column: 1 },
  span: [0, 0],
  entries: new Map(),
};

function treeIn(yaml: string): RuleMapping | null {
  const { documents, mistakes } = parseRuleText(yaml);
  const [tree] = documents;
  return mistakes.length === 0 && tree?.kind === "mapping" ? tree : null;
}
