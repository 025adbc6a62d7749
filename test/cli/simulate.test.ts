import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const folder = mkdtempSync(join(tmpdir(), "tripline-simulate-"));
afterAll(() => rmSync(folder, { recursive: true }));

function run(words: readonly string[], input = "") {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["src/cli/main.ts", ...words], {
    input,
    encoding: "utf8",
    env: { PATH: process.env["PATH"] ?? "" },
  });
  return { lines: stdout.split("\n").filter((line) => line !== ""), stderr, status };
}

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const rules = file(
  "rules.json",
  JSON.stringify({
    automations: [
      {
        name: "vent stays open",
        trigger: {
          posture: "Proactive",
          after: ["vent.opened"],
          expect: ["vent.closed"],
          for_each: ["prefect.resource.id"],
          within: "30s",
        },
      },
      {
        name: "pump failed",
        trigger: { expect: ["pump.failed"] },
        actions: [{ type: "call-webhook", url: "${env.NOWHERE_SET}" }],
      },
    ],
  }),
);

function event(id: string, name: string, time: string, more: object = {}): string {
  return JSON.stringify({
    id,
    event: name,
    occurred: `2026-03-01T00:${time}Z`,
    resource: { "prefect.resource.id": "vent.1" },
    ...more,
  });
}

describe("tripline simulate", () => {
  test("prints a line of JSON for each firing and resolution, including those that only the passing of time causes", () => {
    const timeline = [
      event("a", "vent.opened", "00:00"),
      event("b", "pump.failed", "00:10.5", { received: "2026-03-01T00:00:11Z" }),
      '{"tick": "2026-03-01T00:00:40Z"}',
      event("c", "vent.closed", "00:45"),
      event("d", "vent.opened", "01:00"),
    ].join("\n");
    const { lines, status } = run(
      [
        "simulate",
        "--rules",
        rules,
        "--events",
        "-",
        "--until",
        "2026-03-01T01:00:00Z",
        "--lateness",
        "2s",
        "--json",
      ],
      timeline,
    );
    const labels = { "prefect.resource.id": "vent.1" };
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        automation: "pump failed",
        triggered: "2026-03-01T00:00:11Z",
        labels: {},
        event: "b",
        state: "Triggered",
      },
      {
        automation: "vent stays open",
        triggered: "2026-03-01T00:00:32Z",
        labels,
        event: "a",
        state: "Triggered",
      },
      {
        automation: "vent stays open",
        triggered: "2026-03-01T00:00:45Z",
        labels,
        event: "c",
        state: "Resolved",
      },
      {
        automation: "vent stays open",
        triggered: "2026-03-01T00:01:32Z",
        labels,
        event: "d",
        state: "Triggered",
      },
    ]);
    expect(status).toBe(0);
  });

  test.each([
    ["{", /<standard input>:1: the line is not valid JSON/],
    ['{"tick": "soon"}', /<standard input>:1: tick: expected an RFC 3339 time/],
    [
      event("a", "pump.failed", "00:00", { resource: {} }),
      /<standard input>:1: resource\.prefect\.resource\.id: /,
    ],
  ])("names the line it cannot read: %s", (line, message) => {
    const { stderr, status } = run(["simulate", "--rules", rules, "--events", "-"], `${line}\n`);
    expect(stderr).toMatch(message);
    expect(status).toBe(1);
  });

  test.each([
    ["--until", "tomorrow", /argument 'tomorrow' is invalid. Expected a time/],
    ["--lateness", "soon", /argument 'soon' is invalid. Expected a duration/],
  ])("exits with 2 for an invalid value of %s", (option, value, message) => {
    const { stderr, status } = run(["simulate", "--rules", rules, "--events", "-", option, value], "");
    expect(stderr).toMatch(message);
    expect(status).toBe(2);
  });

  test("reads a timeline that begins with a byte order mark", () => {
    const timeline = `\uFEFF${event("a", "pump.failed", "00:10")}\n`;
    const { lines, status } = run(["simulate", "--rules", rules, "--events", "-"], timeline);
    expect(lines.at(-1)).toBe("1 firing");
    expect(status).toBe(0);
  });

  test("reports how it treats a line that is earlier than the one above it", () => {
    const timeline = [event("a", "pump.failed", "00:10"), event("b", "pump.failed", "00:05")].join("\n");
    const { lines, stderr } = run(["simulate", "--rules", rules, "--events", "-"], timeline);
    expect(lines.at(-1)).toBe("2 firings");
    expect(stderr).toMatch(
      /:2: received 2026-03-01T00:00:05Z, before the line above it; treated as received/,
    );
  });
});

test("needs no value of the environment, also where not any text fits", () => {
  const mail = file(
    "mail.yaml",
    `destinations:
  - { name: mail, type: email, to: ["\${env.TO}"], from: "\${env.FROM}", host: "\${env.HOST_NAME}", port: "\${env.PORT_NUMBER}" }
automations:
  - name: mailed
    trigger: { expect: [pump.failed] }
    actions: [{ type: send-notification, destination: mail, body: "{{ event.id }}" }]
`,
  );
  const { lines, stderr, status } = run(
    ["simulate", "-r", mail, "-e", "-"],
    event("a", "pump.failed", "00:00"),
  );
  expect(stderr).not.toContain("mistake");
  expect(lines.join()).toContain("Triggered  mailed");
  expect(status).toBe(0);
});

test("tripline simulate lets emitted events arrive, also those of an absence before later deadlines", () => {
  const emits = (name: string) => ({
    type: "emit-event",
    event: name,
    resource: { "prefect.resource.id": "greenhouse" },
  });
  const silence = { posture: "Proactive", expect: ["never"], within: "30s", refire: "once" };
  const chain = file(
    "chain.json",
    JSON.stringify({
      automations: [
        { name: "silence", trigger: { ...silence, after: ["vent.opened"] }, actions: [emits("vent.left")] },
        { name: "left", trigger: { expect: ["vent.left"] }, actions: [emits("vent.noted")] },
        { name: "then", trigger: { ...silence, after: ["vent.noted"], within: "10s" } },
      ],
    }),
  );
  const timeline = file("chain.ndjson", event("a", "vent.opened", "00:00"));
  const until = "2026-03-01T01:00:00Z";
  const { lines } = run(["simulate", "--rules", chain, "--events", timeline, "--until", until, "--json"]);
  expect(
    lines
      .map((line) => JSON.parse(line) as { automation: string; triggered: string })
      .map(({ automation, triggered }) => [automation, triggered.slice(14, 19)]),
  ).toEqual([
    ["silence", "00:30"],
    ["left", "00:30"],
    ["then", "00:40"],
  ]);
});

describe("tripline explain with a timeline", () => {
  const timeline = [event("a", "vent.opened", "00:00"), event("b", "vent.closed", "00:10")].join("\n");

  test("says what an event did to an automation, with the window before and after", () => {
    const words = [
      "explain",
      "--rules",
      rules,
      "--events",
      "-",
      "--event",
      "b",
      "--automation",
      "vent stays open",
      "--utc",
    ];
    const { lines, status } = run(words, timeline);
    expect(lines[1]).toContain("met the expectation");
    expect(lines.join("\n")).toContain("[2026-03-01T00:00:00Z, 2026-03-01T00:00:30Z) with 0 of 1");
    expect(status).toBe(0);
  });

  // As in simulate. Otherwise it would explain an absence that simulate does not report.
  test("creates the automations at the first line, even if that is a tick", () => {
    const always = file(
      "always.yaml",
      "name: no readings\ntrigger: {posture: Proactive, expect: [sensor.read], within: 30s}\n",
    );
    const ticked = [
      JSON.stringify({ tick: "2026-03-01T00:00:00Z" }),
      event("r", "sensor.read", "00:40"),
    ].join("\n");
    const words = ["explain", "--rules", always, "--events", "-", "--event", "r"];
    expect(run(words, ticked).lines[1]).toContain("This event resolved the automation");
  });

  test("names the first condition that fails, and the value that fails it", () => {
    const words = [
      "explain",
      "--rules",
      rules,
      "--events",
      "-",
      "--event",
      "b",
      "--automation",
      "pump failed",
    ];
    expect(run(words, timeline).lines[1]).toContain('its name is "vent.closed"; expected "pump.failed"');
  });

  test("reports an unknown event or automation", () => {
    expect(run(["explain", "--rules", rules, "--events", "-", "--event", "z"], timeline).stderr).toContain(
      "contains no event with the id z",
    );
    expect(
      run(["explain", "--rules", rules, "--events", "-", "--event", "a", "--automation", "z"], timeline)
        .stderr,
    ).toContain('The rules define "vent stays open", "pump failed"');
  });
});

test("says that a time without an offset is taken as UTC", () => {
  const timeline = file("utc.jsonl", event("1", "pump.failed", "2026-03-01T09:00:00Z"));
  const simulate = (until: string) => run(["simulate", timeline, "--rules", rules, "--until", until]);
  expect(simulate("2026-03-01T10:00").stderr).toContain(
    "2026-03-01T10:00 has no offset, so it is taken as UTC",
  );
  expect(simulate("2026-03-01T10:00+02:00").stderr).not.toContain("offset");
});
