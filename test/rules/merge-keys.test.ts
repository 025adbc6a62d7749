/** Merge keys of YAML: `<<` takes keys from other mappings. */

import { expect, test } from "vitest";
import { parseRuleText, plainValueOf } from "../../src/rules/rule-tree.ts";
import { mistakesIn } from "./support.ts";

function read(text: string): unknown {
  const { documents, mistakes } = parseRuleText(text);
  expect(mistakes).toEqual([]);
  return documents.map(plainValueOf);
}

test.each([
  ["takes the keys of an alias", "a: &a { x: 1, y: 2 }\nb: { <<: *a, z: 3 }", { x: 1, y: 2, z: 3 }],
  ["gives way to keys beside it", "a: &a { x: 1, y: 2 }\nb: { <<: *a, y: 9 }", { x: 1, y: 9 }],
  ["gives way to keys above it", "a: &a { x: 1, y: 2 }\nb: { y: 9, <<: *a }", { x: 1, y: 9 }],
  ["takes the first of several", "a: &a { x: 1 }\nc: &c { x: 2, y: 3 }\nb: { <<: [*a, *c] }", { x: 1, y: 3 }],
  ["may be given twice", "a: &a { x: 1 }\nc: &c { x: 2, y: 3 }\nb:\n  <<: *a\n  <<: *c", { x: 1, y: 3 }],
  ["merges what was merged", "a: &a { x: 1 }\nc: &c { <<: *a, y: 2 }\nb: { <<: *c }", { x: 1, y: 2 }],
  ["may name its mapping itself", "b: { <<: { x: 1 } }", { x: 1 }],
  ["in quotes is an ordinary key", 'b: { "<<": 1 }', { "<<": 1 }],
])("a merge key %s", (_what, text, b) => {
  const [document] = read(text) as [{ readonly b: unknown }];
  expect(document.b).toEqual(b);
});

const noMapping =
  "3:3: a merge key (<<) takes the keys of a mapping, or of a list of mappings; give it an alias: <<: *name";

test.each([
  ["without a mapping", "name: a\ntrigger:\n  <<: within\n", [noMapping]],
  ["with something else in its list", "name: a\ntrigger:\n  <<: [{within: 5}, 6]\n", [noMapping]],
  [
    // The mistake is where it is written, not where it is merged.
    "that takes a key with a mistake",
    "automations:\n  - name: a\n    trigger: &quick { expect: [x], witin: 5 }\n    actions: []\n" +
      "  - name: b\n    trigger: { <<: *quick, threshold: 2 }\n    actions: []\n",
    ["3:36: unknown key `witin`; did you mean `within`?"],
  ],
])("a merge key %s is reported with the place of the mistake", (_what, text, mistakes) => {
  expect(mistakesIn(text)).toEqual(mistakes);
});
