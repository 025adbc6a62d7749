import { expect, test } from "vitest";
import { run, runCaseText } from "./support.ts";

test("all mistakes in a case file are reported at once, each with its place, what was found, and the remedy", () => {
  const { exitCode, out, err } = run(`\
lateness: soon
cases:
  - name: misspelled
    step: []
    expect:
      - { at: 5x, state: Fired, labels: { a: 7 } }
  - name: steps
    steps:
      - { at: 0s, evnt: pump.pulse, resource: pump.1 }
      - { at: 0s, event: pump.pulse, resource: { side: west } }
      - { at: 0s, event: pump.pulse, resource: pump.1, related: { room: 3 } }
      - { at: 0s, event: pump.pulse, resource: pump.1, every: 5s }
      - { at: 0s, event: pump.pulse, resource: pump.1, every: 5s, until: 1m, times: 3 }
      - { at: 0s, event: pump.pulse, resource: pump.1, times: 3 }
      - { at: 0s, restart: true, payload: {} }
      - { at: 0s, restart: true, disable: pump-quiet }
    expect: []
  - steps: []
  - name: both
    expect: [{ at: 0s, request: {}, requests: [] }]
  - just text
`);
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  expect(err.replaceAll("greenhouse.test.yaml:", "").trim().split("\n")).toEqual([
    '1:11: "soon" is not a duration: write seconds, 90s, 30m, 2h, 1d or PT30M',
    "4:5: unknown key `step`; did you mean `steps`?",
    '6:15: "5x" is not a valid time; write an offset from the start (90s, 5m, 1h30m), or 2026-01-05T00:00:00Z',
    '6:26: state should be Triggered or Resolved; found "Fired"',
    "6:46: a should be text; found 7; put it in quotes",
    "9:19: unknown key `evnt`; did you mean `event`?",
    "10:48: Resources must include a non-empty prefect.resource.id label",
    "11:73: room should be an object of labels, string to string; found 3",
    "12:63: every repeats without end; add until: or times:",
    "13:85: until and times both say when to stop; remove one of them",
    "14:63: times needs every; add every: with the time between repetitions",
    "15:43: payload belongs to an event; remove it",
    "16:43: a step is one of event, restart, disable and enable; found restart and disable; split it into two steps",
    "18:5: a case needs a name; add name: and say what it shows",
    "18:5: a case needs expect; list the firings, or write expect: [] if nothing fires",
    "20:47: request is for a firing with one request, requests for any number; remove one of them",
    '21:5: a case should be a mapping; found "just text"; write name:, steps: and expect:',
  ]);
});

test("mistakes in the meaning of a case are reported in the same way", () => {
  const { exitCode, out, err } = run(`\
start: 2026-01-05T00:00:00Z
cases:
  - name: times
    lateness: 0s
    steps:
      - { at: 5m, event: pump.pulse, resource: pump.1, every: 1m, until: 1m }
      - { at: 2026-01-04T00:00:00Z, event: pump.pulse, resource: pump.1 }
      - { at: 5m, received: 4m, event: pump.pulse, resource: pump.1 }
      - { at: 5m, event: pump.pulse, resource: pump.1, every: 1ms, times: 20000 }
    expect: []
  - name: names
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1, id: first, every: 1m, times: 2 }
      - { at: 0s, event: pump.pulse, resource: pump.1, follows: frist }
      - { at: 0s, enable: pump-quite }
    expect:
      - { at: 1m, event: "first#1" }
      - { at: 1m, automation: vent-stuck, event: first }
      - { at: 1m, automation: roof-open, event: "#3" }
  - name: names
    automations: [pump-quiet, roof-open]
    expect: [{ at: 0s, event: third }]
  - name: no rules
    rules: [greenhouse.yaml, roof.yaml]
    expect: [{ automation: roof-open, at: 0s }] # it may well be in the file that is missing
`);
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  expect(err.replaceAll("greenhouse.test.yaml:", "").trim().split("\n")).toEqual([
    "6:74: until: 1m is before the first time, at 5m; write a later time",
    "7:15: at: 2026-01-04T00:00:00Z is before the start of the case, at 2026-01-05T00:00:00Z; set start: to an earlier time",
    "8:29: received: 4m is before it occurred, at 5m; for a sender whose clock runs ahead, write at: and a later occurred:",
    "9:9: the case has more than 10000 steps, including repetitions; make it shorter",
    '14:65: there is no event "frist"; did you mean first?',
    '15:27: there is no automation "pump-quite"; did you mean pump-quiet?',
    "17:9: which automation fires? add automation: pump-quiet or vent-stuck",
    "18:50: the event first is repeated, so each repetition has a number; write first#1 for the first one",
    '19:31: there is no automation "roof-open"; there are pump-quiet and vent-stuck',
    "20:11: the case at 11:11 has the same name; rename one of them",
    '21:18: there is no automation "roof-open"; there are pump-quiet and vent-stuck',
    '22:31: there is no event "third"; add id: to the event that you mean',
    "24:12: roof.yaml: no such file or directory; check the path",
  ]);
});

test("until may not be before a step or an expected firing", () => {
  expect(runCaseText("    until: 1m\n    expect: [{ automation: vent-stuck, at: 2m }]").err).toBe(
    "greenhouse.test.yaml:3:12: until: 1m is before the last step or firing, at 2m; write a later time\n",
  );
});

test("mistakes in the rules are reported with their own place, and no case is run", () => {
  const rules =
    "name: roof\ntrigger: { expcet: [roof.open] }\n---\nname: door\ntrigger: { expect: [door.open] }\n";
  const options = { files: { "roof.yaml": rules } };
  const { exitCode, out, err } = runCaseText(
    "    rules: roof.yaml\n    expect: [{ automation: roof, at: 0s }]",
    options,
  );
  expect({ exitCode, out }).toEqual({ exitCode: 2, out: "" });
  expect(err).toBe("roof.yaml:2:12: unknown key `expcet`; did you mean `expect`?\n");
});

test("rules do not see the machine's environment, but a placeholder", () => {
  const rules =
    "name: roof\ntrigger: {}\nactions: [{ type: call-webhook, url: 'https://example.com/${env.PATH}' }]\n";
  const options = { files: { "roof.yaml": rules } };
  const body = (env: string) => `
    rules: roof.yaml
    env: {${env}}
    steps: [{ at: 0s, event: roof.open, resource: roof.1 }]
    expect: [{ at: 0s, request: { url: https://example.com/1 } }]`;
  expect(runCaseText(body(" PATH: '1' "), options).exitCode).toBe(0);
  const { exitCode, out } = runCaseText(body(""), options);
  expect(exitCode).toBe(1);
  expect(out).toContain("https://example.com/placeholder-path");
});

test("having nothing to run is a mistake", () => {
  const files = {
    "empty/readme.md": "",
    "alone.test.yaml": "cases:\n  - name: x\n    expect: []\n",
    "none.test.yaml": "",
  };
  const caseFile = "cases:\n  - name: one\n    expect: []\n";
  const err = (path: string, filter?: string): string => {
    const ran = run(caseFile, { files, paths: [path], ...(filter === undefined ? {} : { filter }) });
    expect(ran).toMatchObject({ exitCode: 2, out: "" });
    return ran.err;
  };
  expect(err("empty")).toBe("empty: no case files here; add a .test.yaml file, or name another directory\n");
  expect(err("gone")).toBe("gone: no such file or directory; check the path\n");
  expect(err("greenhouse.yaml")).toBe(
    "greenhouse.yaml: does not look like a case file; name a .test.yaml file, or a directory\n",
  );
  expect(err("none.test.yaml")).toBe(
    "none.test.yaml:1:1: this file is empty; add cases:, or remove the file\n",
  );
  expect(err("alone.test.yaml")).toMatch(
    /^alone.test.yaml:2:5: alone.yaml: no such file.*name others with rules:\n$/,
  );
  expect(err("greenhouse.test.yaml", "two")).toBe(
    `No case's file or name contains "two". Without --filter there is 1.\n`,
  );
});
