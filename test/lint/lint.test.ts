import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { lintRules } from "../../src/lint/lint.ts";
import { formatWarning } from "../../src/lint/warning.ts";
import { formatDiagnostic } from "../../src/rules/diagnostic.ts";
import { loadRules } from "../../src/rules/load.ts";
import { jsonTextProblem } from "../../src/templates/json-text.ts";
import { templateUses } from "../../src/templates/uses.ts";
import { loadOptions, loadText } from "../rules/support.ts";
import { warningsFor, warningsIn, warningsInFiles } from "./support.ts";

const root = join(import.meta.dirname, "../..");

test("the example automations get no warnings", () => {
  const rules = loadRules(["rules"], { ...loadOptions, cwd: root });
  expect(rules.automations.length).toBe(
    readdirSync(join(root, "rules")).filter((file) => /(?<!\.test)\.yaml$/.test(file)).length,
  );
  expect(lintRules(rules).map(formatWarning)).toEqual([]);
});

test("a warning has the place of its cause", () => {
  const text = `automations:
  - name: a
    actions: [{ type: do-nothing }]
    trigger:
      type: compound
      within: 1h
      triggers:
        - expect: [x, "run[1]"]
        - expect: [y]
          match:
            house:
              - north
              - "!south"
          threshold: 0
`;
  expect(warningsIn(text).map(({ code, line, column }) => [code, line, column])).toEqual([
    ["TL205", 8, 23],
    ["TL203", 11, 13],
    ["TL501", 14, 22],
  ]);
});

test("a warning is formatted like a mistake, with its code, reason and fix", () => {
  const [warning] = warningsIn(
    "name: a\ntrigger:\n  expect: [x]\n  threshold: 0\nactions: [{type: do-nothing}]\n",
  );
  expect(formatWarning(warning!)).toBe(
    "greenhouse.yaml:4:14: warning TL501: threshold 0 means 1: nothing can be counted before it happens; write 1, or remove it; to report something that should not happen, expect it, and to report an absence, use posture: Proactive",
  );
});

test("valid rules are checked even if others have mistakes, but nothing is claimed that is not certain", () => {
  const rules = loadText(`name: a
trigger: { expect: [x], threshold: 0 }
actions: [{ type: pause-automation, automation: b }]
---
name: b
triger: {}
---
name: quiet
trigger: { expect: [y] }
# tripline-ignore TL501: for b
`);
  expect(rules.diagnostics.map(formatDiagnostic)).toHaveLength(1);
  expect(lintRules(rules).map(({ code }) => code)).toEqual(["TL501"]);
});

// These are intended, but would look like mistakes to a careless linter.
describe("no warning is given for", () => {
  const inId = (pattern: string | string[]) => ({ expect: ["x"], match: { "prefect.resource.id": pattern } });
  test.each<[string, object]>([
    ["a range", inId("run.[a-z]*")],
    ["several ranges", inId("run.[a-zA-Z0-9_.]*")],
    ["a range with more", inId("run.[0-9abcdef]")],
    ["a name in both, beside a wider pattern", { after: ["x"], expect: ["x", "x*"], within: 60 }],
    ["a name in both, beside a wider opener", { after: ["x*", "x"], expect: ["x"], within: 60 }],
    ["a class that is a choice", inId("run.[abc]")],
    ["a choice of digits after a dot", inId("run.[12]")],
    ["a negated class", inId("run[!1]")],
    ["a choice of letters that follow each other", inId("row[abc]")],
    ["a choice of letters in the middle of a word", inId("pump.o[nf]*")],
    [
      "a schedule that remembers its keys from tick to tick",
      {
        ...{ posture: "Proactive", expect: ["x"], for_each: ["meter"], within: 1800 },
        schedule: { cron: "0 6 * * 1" },
      },
    ],
    ["an escaped bracket", inId("run[[]1]")],
    ["an escaped star", inId("run[*]")],
    ["an unclosed bracket", inId("run[1")],
    ["an exception to a negated pattern", inId(["!pump.*", "pump.3"])],
    ["one negated pattern", inId("!pump.*")],
    [
      "a heartbeat that opens and counts",
      { after: ["x"], expect: ["x", "y"], within: 30, posture: "Proactive" },
    ],
    [
      "any sign of life of one resource",
      { after: ["x"], match: { "prefect.resource.id": "p.1" }, within: 30, posture: "Proactive" },
    ],
    [
      "a negated label of a resource that an event has once",
      {
        expect: ["x"],
        match_related: { "prefect.resource.role": "flow-run", "prefect.resource.name": "!test" },
      },
    ],
    ["a short burst", { expect: ["x"], threshold: 3, within: 2 }],
    [
      "counts for keys that match lists",
      { ...inId(["p.1", "p.2"]), for_each: ["prefect.resource.id"], threshold: 3 },
    ],
    ["one event for each key", { expect: ["x"], for_each: ["order"] }],
    [
      "services that are expected to send forever",
      { posture: "Proactive", ...inId("service.*"), for_each: ["prefect.resource.id"], within: 30 },
    ],
    [
      "an unlimited sequence without keys",
      { type: "sequence", within: null, triggers: [{ expect: ["x"] }, { expect: ["y"] }] },
    ],
    [
      "custom labels",
      { expect: ["x"], match: { "resource.id": "a" }, for_each: ["related:house:name"], within: 5 },
    ],
    [
      "lateness with a schedule",
      { expect: ["x"], schedule: { cron: "0 6 * * *" }, within: 3600, lateness: 30 },
    ],
  ])("%s", (_what, trigger) => {
    expect(warningsFor(trigger)).toEqual([]);
  });
});

describe("a warning is given for", () => {
  const inId = (pattern: string) => ({ expect: ["x"], match: { "prefect.resource.id": pattern } });
  test.each<[string, object, string]>([
    ["an index", inId("run[1]"), "TL205"],
    ["a number in brackets", inId("sensor[42]"), "TL205"],
    ["a word in brackets", inId("[nightly] backup"), "TL205"],
    ["two words in brackets", inId("backup.[job-run]"), "TL205"],
    ["a span in brackets", inId("run.[10-20]"), "TL205"],
    ["a bracket in a name", { expect: ["job[prod].failed"] }, "TL205"],
    ["names with one negated", { expect: ["pump.*", "!pump.off"] }, "TL203"],
    ["a pattern and its negation", { expect: ["pump.*", "!pump.*"] }, "TL203"],
    ["a lateness longer than a burst", { expect: ["x"], threshold: 3, within: 2, lateness: 10 }, "TL401"],
    ["two negated patterns", { expect: ["!pump.*", "!vent.*"] }, "TL203"],
    ["wildcards that match everything", { expect: ["*"], match: { "prefect.resource.id": "**" } }, "TL201"],
    ["a negated role", { expect: ["x"], match_related: { "prefect.resource.role": "!tag" } }, "TL202"],
    [
      "an expected negation that includes the opener",
      { after: ["x"], expect: ["!y"], within: 60, match: { house: "n" } },
      "TL204",
    ],
    ["windows without end for every key", { after: ["x"], expect: ["y"], for_each: ["order"] }, "TL402"],
    [
      "firings remembered without end",
      {
        type: "sequence",
        within: null,
        for_each: ["order"],
        triggers: [{ expect: ["x"] }, { expect: ["y"] }],
      },
      "TL402",
    ],
    [
      "Prefect runs that are expected to send forever",
      {
        posture: "Proactive",
        expect: ["prefect.flow-run.Running"],
        for_each: ["prefect.resource.id"],
        within: 60,
      },
      "TL403",
    ],
    ["a short word in brackets", { expect: ["x"], match: { house: "orders[eu]" } }, "TL205"],
    ["a word in brackets with its letters in order", { expect: ["db[dev].failed"] }, "TL205"],
    [
      "keys that a weekly schedule remembers for a day",
      {
        posture: "Proactive",
        expect: ["meter.read"],
        for_each: ["meter"],
        within: 60,
        schedule: { cron: "0 6 * * 1", remember: "1d" },
      },
      "TL406",
    ],
    ["a role without a label", { expect: ["x"], for_each: ["related:flow"], within: 60 }, "TL106"],
    [
      "a key written differently than matched",
      { expect: ["x"], match: { House: "n" }, for_each: ["house"], within: 60 },
      "TL106",
    ],
  ])("%s", (_what, trigger, code) => {
    expect(warningsFor(trigger)).toEqual([code]);
  });

  test("a template that needs an event, if a part of the composite may fire without one", () => {
    const absence = { posture: "Proactive", expect: ["x"], within: 60 };
    const actions = [{ type: "emit-event", event: "alarm", payload: { last: "{{ event.id }}" } }];
    const composite = (...triggers: object[]) => ({ type: "sequence", within: 60, triggers });
    expect(warningsFor(composite({ expect: ["y"] }, absence), { actions })).toEqual(["TL409", "TL601"]);
    expect(warningsFor(composite(absence, { expect: ["y"] }), { actions })).toEqual([]);
  });
});

test.each([
  ["{{ event.occurred }}", true],
  ["{% for one in event.related %}{{ one }}{% endfor %}", true],
  ["{{ firing.triggering_event.id }}", true],
  ["{% if labels.a %}{{ event.occurred }}{% endif %}", true],
  ["{{ event.occurred | upper }}", true],
  ["{% if event %}{{ event.occurred }}{% else %}never{% endif %}", false],
  ["{{ event.occurred if event else 'never' }}", false],
  ["{{ event.occurred | default('never') }}", false],
  ["{{ event.occurred or 'never' }}", false],
  ["{{ event | tojson }}", false],
  ["{{ firing.window.start }}", false],
])("the template %s needs an event: %s", (template, needsEvent) => {
  expect(templateUses(template).needsEvent).toBe(needsEvent);
});

test.each([
  ['{"text": "{{ event.payload.note }}"}', "stands inside a JSON string"],
  ['{"text": "{{ event.resource.name | upper }} is low"}', "stands inside a JSON string"],
  ['{% if event %}[{"text": "at {{ labels.part }}"}]{% endif %}', "stands inside a JSON string"],
  ['{"text": {% for e in events %}"{{ e.payload.note }}"{% endfor %}}', "stands inside a JSON string"],
  ['{"text": "{{ event.payload.note | tojson }}"}', "tojson writes its own"],
  ['{"name": {{ automation.name }}}', "where JSON needs quotes"],
  ['{"text": {{ event.payload.note | tojson }}, "n": {{ event.payload.count }}, "a": "b\\"c"}', null],
  ['{"id": "{{ event.id }}", "at": "{{ event.occurred }}", "n": "{{ firing.window.count + 1 }}"}', null],
  ['{"state": "{{ firing.trigger_states[0] }}", "url": "/{{ labels.part | urlencode }}"}', null],
  ["[low] {{ event.payload.note }}", null],
  ["{{ event.payload.note }}", null],
])("the payload %s is valid JSON whatever the event says: %s", (payload, problem) => {
  const found = jsonTextProblem(payload);
  if (problem === null) expect(found).toBeNull();
  else expect(found).toContain(problem);
});

describe("a comment", () => {
  const rule = (lines: string) => `${lines}actions: [{ type: do-nothing }]\n`;
  const codes = (text: string) => warningsIn(text).map(({ code }) => code);

  test.each([
    [
      "directly above the line",
      'name: a\ntrigger:\n  threshold: 0\n  # tripline-ignore TL203: so be it\n  expect: [x, "!y"]\n',
    ],
    [
      "at the end of the line",
      'name: a\ntrigger:\n  threshold: 0\n  expect: [x, "!y"] # tripline-ignore TL203: so be it\n',
    ],
    [
      "above other comments",
      'name: a\ntrigger:\n  threshold: 0\n  # tripline-ignore TL203: so be it\n  # (really)\n\n  expect: [x, "!y"]\n',
    ],
    [
      "above the automation",
      '# tripline-ignore TL203: so be it\nname: a\ntrigger:\n  threshold: 0\n  expect: [x, "!y"]\n',
    ],
    [
      "above its second key",
      'name: a\n# tripline-ignore TL203: so be it\ntrigger:\n  threshold: 0\n  expect: [x, "!y"]\n',
    ],
  ])("%s silences the warnings that it names, and no others", (_where, text) => {
    expect(codes(rule(text))).toEqual(["TL501"]);
  });

  test("may name several codes", () => {
    const text =
      '# tripline-ignore TL203, TL501: so be it\nname: a\ntrigger:\n  threshold: 0\n  expect: [x, "!y"]\n';
    expect(codes(rule(text))).toEqual([]);
  });

  test("applies only to its own automation", () => {
    const ruleNamed = (name: string, comment = "") =>
      rule(`${comment}name: ${name}\ntrigger: { expect: [x], threshold: 0 }\n`);
    const warnings = warningsIn(
      `${ruleNamed("a", "# tripline-ignore TL501: so be it\n")}---\n${ruleNamed("b")}`,
    );
    expect(warnings.map(({ code, automation }) => [code, automation])).toEqual([["TL501", "b"]]);
  });

  test("at any automation of a loop silences its warning", () => {
    const emitter = (name: string, expected: string, emitted: string) =>
      `name: ${name}\ntrigger: { expect: [${expected}] }\nactions: [{ type: emit-event, event: ${emitted} }]\n`;
    const files = { "a.yaml": emitter("a", "x", "y"), "b.yaml": emitter("b", "y", "x") };
    expect(warningsInFiles(files).map(({ code }) => code)).toEqual(["TL301"]);
    const commented = { ...files, "b.yaml": `# tripline-ignore TL301: it is cut\n${files["b.yaml"]}` };
    expect(warningsInFiles(commented)).toEqual([]);
  });

  test.each([
    ["without a reason", "# tripline-ignore TL201", "the comment gives no reason"],
    ["with an empty reason", "# tripline-ignore TL201:  ", "the comment gives no reason"],
    ["without a code", "# tripline-ignore: so be it", "the comment does not name a warning"],
    ["with an unknown code", "# tripline-ignore TL999: so be it", "there is no warning TL999"],
  ])("%s silences nothing, and is reported", (_what, comment, reason) => {
    const warnings = warningsIn(rule(`name: a\n${comment}\ntrigger: {}\n`));
    expect(warnings.map((warning) => [warning.code, warning.line])).toEqual([
      ["TL901", 2],
      ["TL201", 3],
    ]);
    expect(warnings[0]).toMatchObject({ reason, column: 1, automation: "a" });
  });

  test("does not count inside a text", () => {
    const text =
      "name: a\ndescription: |\n  # tripline-ignore TL201: so be it\ntrigger: {}\ntags: ['# tripline-ignore']\n";
    expect(codes(rule(text))).toEqual(["TL201"]);
  });

  test("that silences nothing is reported at its place", () => {
    const [warning] = warningsIn(
      rule("name: a\ntrigger: { expect: [x] } # tripline-ignore TL201: so be it\n"),
    );
    expect(warning).toMatchObject({ code: "TL902", line: 2, column: 26 });
  });
});
