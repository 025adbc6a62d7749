import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import fc from "../support/fast-check.ts";
import { loadText, mistakesIn, RuleDirectory } from "./support.ts";

const everyKey = `
name: pumps
description: Pumps that stop.
enabled: true
tags: [water]
trigger:
  type: compound
  require: any
  within: 1h
  for_each: [pump]
  triggers:
    - type: event
      posture: Proactive
      expect: [pump.beat]
      match: {prefect.resource.id: "pump.*"}
      match_related: {prefect.resource.role: house}
      for_each: [pump]
      threshold: 2
      lateness: 2s
      refire: once
      schedule:
        cron: 0 6 * * *
        timezone: Europe/Berlin
        remember: 3d
    - type: sequence
      within: 2m
      triggers:
        - after: [vent.opened]
          expect: [vent.closed]
actions:
  - type: call-webhook
    url: http://127.0.0.1/
    method: PUT
    headers: {x-pump: "{{ labels.pump }}"}
    payload: {pump: "{{ labels.pump }}"}
    secret: watering
    timeout: 5s
  - type: emit-event
    event: pump.alarm
    resource: {prefect.resource.id: pump.1}
    related: []
    payload: {pump: 1}
actions_on_trigger:
  - type: pause-automation
    source: selected
    automation: vents
actions_on_resolve:
  - type: do-nothing
`;

/** Each key that a schema knows, with its place. Keys of labels, headers and payloads are left out. */
const knownKeys = everyKey.split("\n").flatMap((line, index) => {
  const found = /^( *(?:- )?)([a-z_]+):/.exec(line);
  return found === null ? [] : [{ key: found[2]!, line: index + 1, column: found[1]!.length + 1 }];
});
const knownWords = new Set([...knownKeys.map(({ key }) => key), "id", "automation_id"]);

const anyMisspelling = fc
  .record({
    place: fc.constantFrom(...knownKeys),
    position: fc.nat(),
    misspelling: fc.constantFrom("drop", "double", "swap", "replace", "capital"),
  })
  .map(({ place, position, misspelling }) => {
    const { key } = place;
    const index = position % key.length;
    const [before, letter, after] = [key.slice(0, index), key[index]!, key.slice(index + 1)];
    const spellings = {
      drop: before + after,
      double: before + letter + letter + after,
      swap: before + after.slice(0, 1) + letter + after.slice(1),
      replace: `${before}q${after}`,
      capital: key[0]!.toUpperCase() + key.slice(1),
    };
    return { ...place, wrong: spellings[misspelling] };
  })
  .filter(({ wrong }) => !knownWords.has(wrong));

describe("a misspelled key", () => {
  test("is the only mistake reported, at its place, with the key that was intended", () => {
    expect(mistakesIn(everyKey)).toEqual([]);
    fc.assert(
      fc.property(anyMisspelling, ({ key, line, column, wrong }) => {
        const lines = everyKey.split("\n");
        const text = lines[line - 1]!;
        lines[line - 1] = text.slice(0, column - 1) + text.slice(column - 1).replace(key, wrong);
        expect(mistakesIn(lines.join("\n"))).toEqual([
          `${line}:${column}: unknown key \`${wrong}\`; did you mean \`${key}\`?`,
        ]);
      }),
      { numRuns: 300 },
    );
  });

  // A schema stops at an unknown key, so the other mistakes would come to light one by one.
  test("does not hide the other mistakes in its mapping or below it", () => {
    const text = `name: pumps
trigger:
  postur: Proactive
  within: 2s
  schedul: {cron: never}
`;
    expect(mistakesIn(text)).toEqual([
      "3:3: unknown key `postur`; did you mean `posture`?",
      "4:11: within is 2s; a Proactive trigger needs at least 10s, which is also the default",
      "5:3: unknown key `schedul`; did you mean `schedule`?",
      '5:19: cron "never" has 1 field; write five (minute hour day month weekday), or six with seconds first',
    ]);
  });

  test("for the list of automations is understood too", () => {
    expect(mistakesIn("automation:\n  - {name: a, trigger: {}}\n  - {nam: b, trigger: {}}\n")).toEqual([
      "1:1: unknown key `automation`; did you mean `automations`?",
      "3:6: unknown key `nam`; did you mean `name`?",
    ]);
  });
});

describe("a mistake", () => {
  test.each<[what: string, text: string, mistakes: string[]]>([
    [
      "a missing field",
      "description: x\n",
      [
        "1:1: name is missing; give the automation a name, unique in its workspace",
        "1:1: trigger is missing; add trigger: with what it expects",
      ],
    ],
    [
      "a missing type",
      "name: a\ntrigger: {}\nactions:\n  - url: http://x/\n",
      ["4:5: type is missing; add type: and say which"],
    ],
    [
      "a key like no other",
      "name: a\ncolour: red\ntrigger: {}\n",
      [
        "2:1: unknown key `colour`; remove it (keys allowed here: name, description, enabled, tags, trigger, actions, actions_on_trigger and actions_on_resolve)",
      ],
    ],
    [
      "a lost indentation",
      "name: a\ntrigger:\nexpect: [pump.stopped]\n",
      [
        "2:9: trigger should be a mapping; found nothing; give it a value, or remove the key",
        "3:1: `expect` belongs to the trigger; indent it under trigger:",
      ],
    ],
    [
      "a word that is not allowed",
      "name: a\ntrigger: {posture: proactive}\n",
      ['2:20: posture should be Reactive or Proactive; found "proactive"; did you mean `Proactive`?'],
    ],
    [
      "a type that does not exist",
      "name: a\ntrigger: {type: compund, within: null, triggers: [{}, 5]}\n",
      [
        '2:17: type should be event, compound or sequence; found "compund"; did you mean `compound`?',
        "2:55: triggers[1] should be a mapping; found 5",
      ],
    ],
    [
      "YAML 1.1's yes",
      "name: a\nenabled: yes\ntrigger: {}\n",
      ['2:10: enabled should be true or false; found "yes"; write true, without quotes'],
    ],
    [
      "a number in quotes",
      'name: a\ntrigger: {threshold: "3"}\n',
      ['2:22: threshold should be a number; found "3"; remove the quotes'],
    ],
    [
      "a fraction",
      "name: a\ntrigger: {threshold: 1.5}\n",
      ["2:22: threshold should be a whole number; found 1.5"],
    ],
    [
      "a number below the bound",
      "name: a\ntrigger: {threshold: -1}\n",
      ["2:22: threshold should be greater than or equal to 0; found -1"],
    ],
    [
      "a name that is a number",
      "name: 5\ntrigger: {}\n",
      ["1:7: name should be text; found 5; put it in quotes"],
    ],
    [
      "text in place of a list",
      "name: a\ntrigger: {expect: pump.stopped}\n",
      ['2:19: expect should be a list; found "pump.stopped"; write it as a list: [pump.stopped]'],
    ],
    [
      "a pattern that is a number",
      "name: a\ntrigger:\n  match:\n    pump: [a, 7]\n",
      ['4:15: A pattern should be a string; put it in quotes: "7"'],
    ],
    [
      "a text that is not a duration",
      "name: a\ntrigger: {within: soon}\n",
      ['2:19: "soon" is not a duration: write seconds, 90s, 30m, 2h, 1d or PT30M'],
    ],
    [
      "a template that ends too early",
      'name: a\ntrigger: {}\nactions:\n  - type: call-webhook\n    url: http://x/\n    payload:\n      pumps:\n        - "{{ labels.pump"\n',
      [expect.stringMatching(/^8:11: .*(not closed|template)/) as unknown as string],
    ],
    [
      "a filter that does not exist",
      'name: a\ntrigger: {}\nactions:\n  - {type: call-webhook, url: "http://x/{{ labels.pump | uper }}"}\n',
      ["4:31: there is no filter uper (did you mean upper?) (column 27 of the template)"],
    ],
    [
      "an invalid address",
      "name: a\ntrigger: {}\nactions:\n  - {type: call-webhook, url: localhost}\n",
      ['4:31: url should be an address that begins with http:// or https://; found "localhost"'],
    ],
    [
      "a header that no request can carry",
      "name: a\ntrigger: {}\nactions:\n  - {type: call-webhook, url: 'http://x/', headers: {X-Good_1: y, 'no good': x}}\n",
      ['4:78: "no good" cannot be the name of a header; use letters, digits and hyphens'],
    ],
    [
      "an event without a name",
      "name: a\ntrigger: {}\nactions:\n  - {type: emit-event, event: ''}\n",
      ["4:31: event should not be empty"],
    ],
    [
      "a template without quotes",
      "name: a\ntrigger: {}\nactions:\n  - type: call-webhook\n    url: {{ event.url }}\n",
      [
        '5:11: a key should be text; found a mapping or list; a value that begins with {{ needs quotes: "{{ … }}"',
      ],
    ],
    [
      "a key given twice",
      "name: a\ntrigger:\n  within: 5\n  within: 6\n",
      ["4:3: within is given twice, first at 3:3; remove one of them"],
    ],
    [
      "a key that is a number",
      "name: a\ntrigger: {match: {7: x}}\n",
      ['2:19: a key should be text; found 7; put it in quotes: "7"'],
    ],
    ["a tab", "name: a\ntrigger:\n\twithin: 5\n", ["3:1: a tab is used as indentation; use spaces"]],
    [
      "a colon in a plain text",
      "name: a\ndescription: note: pumps\n",
      [
        "2:14: a value on one line cannot contain another key; put the value in quotes, or indent it on the next line",
      ],
    ],
    [
      "a number that JSON does not have",
      "name: a\ntrigger: {}\nactions:\n  - {type: call-webhook, url: http://x/, payload: {n: -.inf}}\n",
      ['4:55: -.inf is not a number in JSON; put it in quotes: "-.inf"'],
    ],
    [
      "a count that is too large",
      "name: a\ntrigger: {threshold: 12345678901234567890}\n",
      ["2:22: threshold should be a number; found 12345678901234567890; use a number up to 9007199254740991"],
    ],
    [
      "a metric trigger",
      "name: a\ntrigger: {type: metric, posture: Metric, metric: {name: lateness}}\n",
      [
        "2:17: Metric triggers do not exist here, because Tripline does not know flow runs. Count or miss their events instead: docs/prefect.md, Metric triggers",
      ],
    ],
    [
      "a YAML tag",
      "name: !pump a\ntrigger: {}\n",
      [
        '1:7: !pump is a YAML tag, which is not supported; a pattern that begins with ! needs quotes: "!pump"',
      ],
    ],
    [
      "a pattern without its quotes",
      "name: a\ntrigger: {expect: [*.failed]}\n---\nname: b\ntrigger: {match: {pump: *}}\n",
      [
        '2:20: no anchor &.failed comes before this alias; a pattern that begins with * needs quotes: "*.failed"',
        '5:25: a value that begins with * is an alias; a pattern needs quotes: "*"',
      ],
    ],
    [
      "a quote that is not closed",
      'name: a\ndescription: "the pump\ntrigger: {}\n',
      ["2:14: this quote is not closed; add the closing quote where the text ends"],
    ],
    [
      "a colon without a space",
      "name:a\ntrigger: {}\n",
      ["1:1: a key should be on one line; put a space after its colon, or close the open quote or bracket"],
    ],
    [
      "a version that is read as a number",
      "name: a\ntrigger: {match: {version: 1.10}}\n",
      ['2:28: A pattern should be a string; put it in quotes: "1.10"'],
    ],
    [
      "a composite without a type",
      "name: a\ntrigger: {require: any, within: 1m, triggers: [{}]}\n",
      [
        "2:11: `require` belongs to type: compound; give the trigger that type",
        "2:37: `triggers` belongs to type: compound or sequence; give the trigger that type",
      ],
    ],
    [
      "an event without a name",
      'name: a\ntrigger: {}\nactions: [{type: emit-event, event: ""}]\n',
      ["3:37: event should not be empty"],
    ],
    [
      "a plain text as a document",
      "- name: a\n  trigger: {}\n---\nname\n",
      ['4:1: a document should be an automation, or contain a list of them; found "name"'],
    ],
    [
      "a key next to a list",
      "name: a\nautomations: []\n",
      ["1:1: unknown key `name` next to automations; put it into an automation, or remove it"],
    ],
    ["an empty file", "\n", ["1:1: this file is empty; write an automation, or remove the file"]],
    [
      "an alias without its anchor",
      "name: *pump\ntrigger: {}\n",
      ['1:7: no anchor &pump comes before this alias; a pattern that begins with * needs quotes: "*pump"'],
    ],
  ])("is reported with its place and a remedy: %s", (_what, text, mistakes) => {
    expect(mistakesIn(text)).toEqual(mistakes);
  });

  // If a value is wrong, a schema does not check how the values fit together.
  test("in one value does not hide other mistakes or cause new ones", () => {
    const text = (fields: string): string => `name: a\ntrigger: {${fields}}\n`;
    expect(mistakesIn(text("posture: Proactive, threshold: many, within: 2s"))).toEqual([
      '2:42: threshold should be a number; found "many"',
      "2:56: within is 2s; a Proactive trigger needs at least 10s, which is also the default",
    ]);
    expect(mistakesIn(text("posture: never, refire: once"))).toEqual([
      '2:20: posture should be Reactive or Proactive; found "never"',
    ]);
    expect(mistakesIn(text("within: 60, on_gap: fire"))).toEqual([
      expect.stringMatching(/^2:\d+: on_gap is for Proactive triggers; remove it/),
    ]);
    expect(mistakesIn(text("posture: Proactive, on_gap: wait"))).toEqual([
      expect.stringMatching(/^2:\d+: on_gap should be extend or fire; found "wait"/),
    ]);
    expect(mistakesIn(text("type: pump, triggers: [{}], require: 3"))).toEqual([
      '2:17: type should be event, compound or sequence; found "pump"',
    ]);
  });

  test("in one document does not keep the others from being read", () => {
    const { automations, diagnostics } = loadText(
      "name: a\ntrigger: 5\n---\nname: b\ntrigger: {}\n---\nnane: c\ntrigger: {}\n",
    );
    expect(automations.map(({ name }) => name)).toEqual(["b"]);
    expect(diagnostics.map(({ line }) => line)).toEqual([2, 7]);
  });

  test("is a name that is already taken, even in another file, and both places are reported", () => {
    const directory = new RuleDirectory();
    directory.write("pumps.yaml", "name: pumps\ntrigger: {}\n");
    directory.write("more/vents.yml", "trigger: {}\nname: pumps\n");
    expect(directory.load().diagnostics).toEqual([
      {
        file: "pumps.yaml",
        line: 1,
        column: 7,
        message: 'name "pumps" is taken by more/vents.yml:2:7; give one of them another name',
      },
    ]);
    directory.remove();
  });
});

describe("a hostile file", () => {
  const bomb = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"];
  for (let i = 1; i < 20; i++)
    bomb.push(
      `a${i}: &a${i} [${Array(9)
        .fill(`*a${i - 1}`)
        .join(", ")}]`,
    );

  test.each<[what: string, text: string | Buffer, message: RegExp]>([
    ["aliases that multiply", bomb.join("\n"), /^1:\d+: more than 100000 values/],
    ["an alias inside its own anchor", "name: &a [*a]", /^1:\d+: nested more than 100 levels deep/],
    ["endless nesting", "[".repeat(100_000), /^1:\d+: nested more than 100 levels deep/],
    [
      "a million bytes too many",
      `name: ${"x".repeat(1_100_000)}`,
      /has 1100006 bytes; a rule file has at most 1048576/,
    ],
    ["bytes that are not text", Buffer.from([0x6e, 0xff]), /is not UTF-8 text/],
  ])("is refused in one line: %s", (_what, text, message) => {
    expect(mistakesIn(text)).toEqual([expect.stringMatching(message)]);
  });

  test("may have keys such as __proto__", () => {
    const { automations } = loadText("name: a\ntrigger: {match: {__proto__: x, constructor: y}}\n");
    const trigger = automations[0]!.trigger as { match: object };
    expect(Object.entries(trigger.match)).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });
});

describe("rule files", () => {
  test("are the YAML and JSON files below a directory, but not cases, schemas and hidden files", () => {
    const directory = new RuleDirectory();
    directory.write("a.yaml", "name: a\ntrigger: {}\n---\nname: b\ntrigger: {}\n");
    directory.write("deep/c.yml", "automations:\n  - {name: c, trigger: {}}\n  - {name: d, trigger: {}}\n");
    directory.write("e.json", '{\n\t"name": "e",\n\t"trigger": {}\n}');
    for (const other of [
      "a.test.yaml",
      "x.schema.json",
      ".hidden.yaml",
      "node_modules/n.yaml",
      "notes.txt",
    ]) {
      directory.write(other, "no: rule");
    }
    const { automations, diagnostics, files } = directory.load();
    expect(diagnostics).toEqual([]);
    expect(files).toEqual(["a.yaml", "deep/c.yml", "e.json"]);
    expect(automations.map(({ name }) => name)).toEqual(["a", "b", "c", "d", "e"]);
    // Named twice, they count once.
    expect(directory.load({}, [".", "a.yaml", "./deep"]).files).toEqual(files);
    directory.remove();
  });

  test("that are reached twice through links count once, and circular links end", () => {
    const directory = new RuleDirectory();
    directory.write("deep/a.yaml", "name: a\ntrigger: {}\n");
    symlinkSync("deep/a.yaml", join(directory.path, "same.yaml"));
    symlinkSync("..", join(directory.path, "deep/circle"));
    const { automations, diagnostics, files } = directory.load();
    expect({ diagnostics, files }).toEqual({ diagnostics: [], files: ["deep/a.yaml"] });
    expect(automations.length).toBe(1);
    directory.remove();
  });

  test("are read up to a limit, so that a wrong path does not read a whole disk", () => {
    const directory = new RuleDirectory();
    for (let index = 0; index < 10_002; index++) directory.write(`${index}.yaml`, "");
    const messages = directory.load().diagnostics.map(({ message }) => message);
    const reason = "is one of more than 10000 files; name a smaller directory";
    expect(messages.filter((message) => message === reason)).toHaveLength(2);
    directory.remove();
  });

  test("that are missing are a mistake, whether files or directories", () => {
    const directory = new RuleDirectory();
    directory.write("empty/notes.txt", "");
    const { diagnostics } = directory.load({}, ["missing.yaml", "empty", "missing"]);
    expect(diagnostics.map(({ file, message }) => `${file}: ${message}`)).toEqual([
      "empty: no rule files here; add a .yaml, .yml or .json file, or name another directory",
      "missing: no such file or directory; check the path",
      "missing.yaml: no such file or directory; check the path",
    ]);
    directory.remove();
  });

  test("give the same ids regardless of their place, and different ones in another workspace", () => {
    const text = "name: a\ntrigger: {type: sequence, within: 5, triggers: [{}, {}]}\n";
    const [here] = loadText(text).automations;
    const [there] = loadText(`# moved\n${text}`).automations;
    const [other] = loadText(text, { workspace: "other" }).automations;
    expect(there).toEqual(here);
    expect(other!.id).not.toBe(here!.id);
    const { trigger } = here!;
    const ids = trigger.type === "event" ? [] : [trigger.id, ...trigger.triggers.map(({ id }) => id)];
    expect(new Set(ids).size).toBe(3);
  });
});
