import { describe, expect, test } from "vitest";
import { Simulation } from "../../src/core/machine/simulation.ts";
import { run, runCaseText, withoutTimes } from "./support.ts";

describe("a case passes", () => {
  test.each([
    {
      what: "when nothing fires and nothing is expected to",
      body: `
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1, every: 30s, until: 1h }]
    expect: []`,
    },
    {
      what: "with exactly the firings that it lists, in any order",
      body: `
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1, id: pulse }
      - { at: 130s, event: pump.pulse, resource: pump.1 }
      - { at: 10s, event: vent.stuck, resource: vent.1, id: stuck }
    until: 150s
    expect:
      - { automation: pump-quiet, at: 130s, state: Resolved, late: false, labels: { prefect.resource.id: pump.1 } }
      - { automation: pump-quiet, at: 65s, event: pulse, labels: { prefect.resource.id: pump.1 } }
      - { automation: vent-stuck, at: 10s, event: stuck }`,
    },
    {
      what: "with times instead of offsets",
      body: `
    start: 2026-03-01T12:00:00Z
    steps: [{ at: "2026-03-01T13:00:00+01:00", event: vent.stuck, resource: vent.1 }]
    expect: [{ automation: vent-stuck, at: 2026-03-01T12:00:00Z }]`,
    },
    {
      what: "with a lateness of its own",
      body: `
    lateness: 0s
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1 }]
    until: 2m
    expect: [{ automation: pump-quiet, at: 1m, labels: { prefect.resource.id: pump.1 } }]`,
    },
    {
      what: "when an event says that nobody could post, and a heartbeat comes in the time that was left",
      body: `
    start: 2026-03-01T12:00:00Z
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1 }
      - at: 10m
        event: tripline.gap
        resource: tripline.api
        payload: { from: "2026-03-01T12:00:30Z", to: "2026-03-01T12:10:00Z" }
      - { at: 10m25s, event: pump.pulse, resource: pump.1 }
    until: 11m
    expect: []`,
    },
    {
      what: "with only the automations that it names",
      body: `
    automations: vent-stuck
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1 }]
    until: 1h
    expect: []`,
    },
    {
      what: "when an event that occurred in time arrives late",
      body: `
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1 }
      - { at: 50s, received: 70s, event: pump.pulse, resource: pump.1 }
    until: 70s
    expect:
      - { automation: pump-quiet, at: 65s, labels: { prefect.resource.id: pump.1 } }
      - { automation: pump-quiet, at: 70s, state: Resolved, late: true, labels: { prefect.resource.id: pump.1 } }`,
    },
    {
      what: "when a sender's clock runs ahead",
      body: `
    steps:
      - { at: 0s, occurred: 1h, event: pump.pulse, resource: pump.1 }
    until: 2m
    expect: [{ automation: pump-quiet, at: 65s, labels: { prefect.resource.id: pump.1 } }]`,
    },
    {
      what: "with an automation paused and resumed",
      body: `
    steps:
      - { at: 0s, event: vent.stuck, resource: vent.1 }
      - { at: 1s, disable: [vent-stuck, pump-quiet] }
      - { at: 2s, event: vent.stuck, resource: vent.1 }
      - { at: 3s, enable: vent-stuck }
      - { at: 4s, event: vent.stuck, resource: vent.1 }
    expect: [{ automation: vent-stuck, at: 0s }, { automation: vent-stuck, at: 4s }]`,
    },
    {
      what: "with a follower that comes before its leader, and one event that is sent twice",
      body: `
    steps:
      - { at: 0s, event: vent.stuck, resource: vent.1, id: second, follows: first }
      - { at: 5s, event: vent.stuck, resource: vent.1, id: first }
      - { at: 6s, event: vent.stuck, resource: vent.1, id: first }
    expect:
      - { automation: vent-stuck, at: 5s, event: first }
      - { automation: vent-stuck, at: 5s, event: second }`,
    },
    {
      what: "with every form of a request",
      body: `
    env: { ROOM: south }
    steps:
      - { at: 0s, event: vent.stuck, resource: { prefect.resource.id: vent.1, side: west }, payload: { angle: 40 } }
      - { at: 0s, event: pump.pulse, resource: pump.1 }
    until: 2m
    expect:
      - automation: vent-stuck
        at: 0s
        request: { method: PUT, url: https://example.com/vents, body: 40 degrees, signed: true }
      - automation: pump-quiet
        at: 65s
        labels: { prefect.resource.id: pump.1 }
        requests:
          - url: https://example.com/south
            headers: { x-room: south, Content-Type: application/json, x-none: null }
            body: { since: "2026-01-05T00:00:00Z", text: pump.1 is quiet }
            body_includes: { text: pump.1 is quiet }
            signed: false`,
    },
    {
      what: "when a firing with fewer details is listed before one with more",
      body: `
    steps:
      - { at: 1s, event: vent.stuck, resource: vent.1, id: one }
      - { event: vent.stuck, resource: vent.1, id: two } # at the time of the one above
    expect:
      - { automation: vent-stuck, at: 1s }
      - { automation: vent-stuck, at: 1s, event: one }`,
    },
    {
      what: "with repeated firings",
      body: `
    steps: [{ at: 1s, event: vent.stuck, resource: vent.1, id: stuck, every: 10s, times: 3 }]
    expect: [{ automation: vent-stuck, at: 1s, every: 10s, until: 25s }]`,
    },
    {
      what: "with related resources in either form",
      body: `
    steps:
      - { at: 0s, event: vent.stuck, resource: vent.1, related: { room: room.1, row: { prefect.resource.id: row.2, side: west } } }
      - { at: 1s, event: vent.stuck, resource: vent.1, related: [{ prefect.resource.id: room.1, prefect.resource.role: room }] }
    expect: [{ automation: vent-stuck, at: 0s, every: 1s, times: 2 }]`,
    },
  ])("$what", ({ body }) => {
    expect(runCaseText(body)).toMatchObject({
      exitCode: 0,
      err: "",
      out: expect.stringContaining("all passed"),
    });
  });

  test("with the settings of its file, unless it has its own", () => {
    const { exitCode, out } = run(
      `
rules: other.yaml
automations: pump-quiet
start: 2026-03-01T00:00:00Z
lateness: 0s
env: { ROOM: south, FLOOR: first }
cases:
  - name: with what its file says
    steps: [{ at: 2026-03-01T00:00:00Z, event: pump.pulse, resource: pump.1 }]
    until: 1m
    expect: [{ at: 1m, request: { url: https://example.com/south/first } }]
  - name: with what it says itself
    rules: greenhouse.yaml
    automations: [pump-quiet, vent-stuck]
    start: 2026-02-01T00:00:00Z
    lateness: 10s
    env: { ROOM: east }
    steps: [{ at: 2026-02-01T00:00:00Z, event: pump.pulse, resource: pump.1 }]
    until: 70s
    expect:
      - automation: pump-quiet
        at: 70s
        labels: { prefect.resource.id: pump.1 }
        request: { url: https://example.com/east }
  - name: with values of both
    env: { ROOM: east }
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1 }]
    until: 1m
    expect: [{ at: 1m, request: { url: https://example.com/east/first } }]`,
      {
        files: {
          "other.yaml": `
name: pump-quiet
trigger: { posture: Proactive, expect: [pump.pulse], after: [pump.pulse], within: 1m }
actions: [{ type: call-webhook, url: "https://example.com/\${env.ROOM}/\${env.FLOOR}" }]
---
name: all
trigger: {}`,
        },
      },
    );
    expect(exitCode, out).toBe(0);
  });

  test("whatever this machine's environment contains", () => {
    process.env["ROOM"] = "elsewhere";
    try {
      const body = `
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1 }]
    until: 65s
    expect: [{ automation: pump-quiet, at: 65s, labels: { prefect.resource.id: pump.1 }, request: { url: https://example.com/north } }]`;
      expect(runCaseText(body)).toMatchObject({ exitCode: 0 });
    } finally {
      delete process.env["ROOM"];
    }
  });
});

describe("a case fails", () => {
  test("and shows what was expected beside what happened on one timeline", () => {
    const { exitCode, out, err } = run(`
start: 2026-01-05T06:00:00Z
cases:
  - name: all is well
    expect: []
  - name: everything is wrong
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1, id: pulse, every: 10s, until: 1m }
      - { at: 10s, received: 20s, event: vent.stuck, resource: { prefect.resource.id: vent.1, side: west }, payload: { angle: 40 } }
      - { at: 25s, restart: true }
      - { at: 30s, disable: vent-stuck }
    until: 3m
    expect:
      - { automation: vent-stuck, at: 20s, labels: { side: west }, request: { method: POST, body: 45 degrees } }
      - { automation: vent-stuck, at: 40s }
      - { automation: pump-quiet, at: 2m, labels: { prefect.resource.id: pump.1 }, event: pulse#7 }
`);
    expect({ exitCode, err }).toEqual({ exitCode: 1, err: "" });
    expect(withoutTimes(out)).toBe(`\
✗ greenhouse.test.yaml (1 of 2 cases failed)

  everything is wrong
  greenhouse.test.yaml:6:5: the case starts at 2026-01-05T06:00:00Z

  time  expected  got
    0s                 pump.pulse  pump.1  id pulse#1
   10s                 pump.pulse  pump.1  id pulse#2
   20s                 pump.pulse  pump.1  id pulse#3
   20s                 vent.stuck  vent.1  side=west  occurred at 10s
   20s     ●       ●   vent-stuck  Triggered
                         labels.side: expected "west", got nothing
                         request.method: expected "POST", got "PUT"
                         request.body: expected "45 degrees", got "40 degrees"
   25s                 restart
   30s                 pump.pulse  pump.1  id pulse#4
   30s                 disable vent-stuck
   40s                 pump.pulse  pump.1  id pulse#5
   40s     ●       –   vent-stuck  Triggered
                         did not happen; expected on line 15
   50s                 pump.pulse  pump.1  id pulse#6
    1m                 pump.pulse  pump.1  id pulse#7
    2m     ●       –   pump-quiet  Triggered  prefect.resource.id=pump.1
                         came 5s late; see 2m5s
  2m5s     –       ●   pump-quiet  Triggered  prefect.resource.id=pump.1
                         expected at 2m
    3m                 end

2 cases: 1 failed (0 ms)
`);
  });

  test("when something fires that it does not list", () => {
    const { exitCode, out } = runCaseText(`
    steps: [{ at: 0s, event: vent.stuck, resource: vent.1, every: 1m, times: 20 }]
    expect: [{ automation: vent-stuck, at: 0s, every: 1m, times: 19 }]`);
    expect(exitCode).toBe(1);
    expect(out.match(/was not expected/g)).toHaveLength(1);
    expect(out).toContain("… 17 more, one every 1m"); // and the unexpected one on its own line
  });

  test("when thousands of firings are wrong, and shows the first ones and how many more there are", () => {
    const { exitCode, out } = runCaseText(`
    steps: [{ at: 0s, event: vent.stuck, resource: vent.1, every: 1h, times: 2000 }]
    until: 100d
    expect: [{ automation: vent-stuck, at: 0s, every: 1h, times: 1000 }]`);
    expect(exitCode).toBe(1);
    const lines = out.split("\n");
    expect(lines.length).toBeLessThan(200);
    expect(out).toMatch(/ 41d16h +– +● +vent-stuck {2}Triggered/); // the first that is wrong
    expect(out).toMatch(/… 1\d{3} more lines, 9\d\d of them wrong/);
    expect(out).toContain("end");
  });

  test("when a firing has another event than expected, or has one and should not", () => {
    const { out } = runCaseText(`
    steps:
      - { at: 0s, event: vent.stuck, resource: vent.1, id: one }
      - { at: 1s, event: vent.stuck, resource: vent.1, id: two }
    expect: [{ automation: vent-stuck, at: 0s, event: two }, { automation: vent-stuck, at: 1s, event: null }]`);
    expect(out).toContain('event: expected "two", got "one"');
    expect(out).toContain('event: expected null, got "two"');
  });

  test("when a request differs from the expected one", () => {
    const { out } = runCaseText(`
    steps:
      - { at: 0s, event: vent.stuck, resource: vent.1 }
      - { at: 1s, event: vent.stuck, resource: vent.1 }
      - { at: 2s, event: pump.pulse, resource: pump.1 }
    until: 2m
    expect:
      - { automation: vent-stuck, at: 0s, requests: [] }
      - { automation: vent-stuck, at: 1s, request: { body: { angle: 4 }, signed: false } }
      - { automation: pump-quiet, at: 67s, labels: { prefect.resource.id: pump.1 }, request: {
          headers: { X-Room: south, user-agent: null, x-other: "1" },
          body: { text: pump.1 is quiet }, body_includes: { text: [pump.1] } } }`);
    for (const line of [
      "requests: expected 0 requests, got 1 request",
      'request.body: expected JSON, got " degrees"',
      "request.signed: expected false, got true",
      'request.headers.X-Room: expected "south", got "north"',
      "request.headers.user-agent: expected null, got ",
      'request.headers.x-other: expected "1", got null',
      'request.body.since: expected nothing, got "2026-01-05T00:00:02Z"',
      'request.body.text: expected ["pump.1"], got "pump.1 is quiet"',
    ])
      expect(out).toContain(line);
  });

  // Otherwise a rule could go into production although every delivery of it fails.
  test("when an action cannot be rendered, even if no request is expected", () => {
    const rules = `
name: pump-counted
trigger: { expect: [pump.pulse] }
actions: [{ type: call-webhook, url: "https://example.com/{{ event.payload.count / 2 }}" }]`;
    const { exitCode, out } = runCaseText(
      `
    rules: pumps.yaml
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1, payload: { count: many } }]
    expect: [{ at: 0s }]`,
      { files: { "pumps.yaml": rules } },
    );
    expect(exitCode).toBe(1);
    expect(out).toContain("its webhook cannot be rendered:");
  });

  test("in color on a terminal", () => {
    const body = "    steps: [{ at: 0s, event: vent.stuck, resource: vent.1 }]\n    expect: []";
    expect(runCaseText(body).out).not.toContain("\u001b[");
    expect(runCaseText(body, { color: true }).out).toContain("\u001b[31m");
  });
});

/** An engine that keeps only its automations across a restart. */
class ForgetfulSimulation {
  readonly #create: () => Simulation;
  #simulation: Simulation;

  constructor(...parameters: ConstructorParameters<typeof Simulation>) {
    this.#create = () => new Simulation(...parameters);
    this.#simulation = this.#create();
  }

  step(step: Parameters<Simulation["step"]>[0]) {
    return this.#simulation.step(step);
  }

  put(...parameters: Parameters<Simulation["put"]>) {
    return this.#simulation.put(...parameters);
  }

  restart() {
    this.#simulation = this.#create();
  }
}

describe("a second run of each case, with a restart between every two steps,", () => {
  const cases = `
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1 }
      - { at: 10s, event: pump.pulse, resource: pump.2 }
    until: 66s
    expect: [{ automation: pump-quiet, at: 65s, labels: { prefect.resource.id: pump.1 } }]`;

  test("passes if the restarts make no difference", () => {
    expect(runCaseText(cases).exitCode).toBe(0);
  });

  test("fails if they do, even if the first run was right", () => {
    const { exitCode, out } = runCaseText(cases, {
      createSimulation: (automations, options) => new ForgetfulSimulation(automations, options),
    });
    expect(exitCode).toBe(1);
    expect(out).toContain("The run with a restart between every two steps fires differently.");
    expect(out).toContain("time  as written  restarted");
    expect(out).toMatch(/1m5s +● +– +pump-quiet/);
    expect(out).not.toContain("expected  got");
  });

  test("shares the restarts that the case itself has", () => {
    const { out } = runCaseText(
      `
    steps:
      - { at: 0s, event: pump.pulse, resource: pump.1 }
      - { at: 10s, restart: true }
    until: 65s
    expect: [{ automation: pump-quiet, at: 65s, labels: { prefect.resource.id: pump.1 } }]`,
      { createSimulation: (automations, options) => new ForgetfulSimulation(automations, options) },
    );
    expect(out).toContain("did not happen");
    expect(out).not.toContain("fires differently");
  });

  test("also has a restart after the last step", () => {
    const quiet = `
    steps: [{ at: 0s, event: pump.pulse, resource: pump.1 }]
    until: 66s
    expect: [{ automation: pump-quiet, at: 65s, labels: { prefect.resource.id: pump.1 } }]`;
    const options = {
      createSimulation: (...given: ConstructorParameters<typeof Simulation>) =>
        new ForgetfulSimulation(...given),
    };
    expect(runCaseText(quiet, options).exitCode).toBe(1);
    expect(runCaseText(quiet).exitCode).toBe(0);
  });
});
