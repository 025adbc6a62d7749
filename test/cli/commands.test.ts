import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Webhook } from "standardwebhooks";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startApi, type TestApi } from "../api/support.ts";
import { root, Sandbox } from "./support.ts";

const sandbox = new Sandbox();
let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(async () => {
  await sandbox.close();
  await api.stop();
});

describe("tripline", () => {
  test("prints its version and its commands", async () => {
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    expect((await sandbox.output(["--version"])).stdout).toBe(`${version}\n`);
    const { stdout } = await sandbox.output(["--help"]);
    for (const command of ["serve", "check", "emit", "listen", "simulate"])
      expect(stdout).toContain(`\n  ${command} `);
  });

  test("exits with 2 for an unknown command or option", async () => {
    expect(await sandbox.output(["serv"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("Did you mean serve?"),
    });
    expect(await sandbox.output(["emit", "--evnt", "x"])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("unknown option '--evnt'"),
    });
  });
});

describe("tripline emit", () => {
  const emit = (words: readonly string[], input?: string) =>
    sandbox.output(["emit", ...words], { TRIPLINE_API_URL: `${api.url}/api` }, input);
  const lastEvents = async (count: number) =>
    (await api.events()).slice(-count).map(({ event }) => event.wire);

  test("sends an event built from its options, with an id and a time", async () => {
    const before = Date.now();
    const { code, stdout } = await emit([
      ...[
        "--event",
        "pump.stopped",
        "--resource-id",
        "pump.1",
        "--label",
        "zone=north=2",
        "-l",
        "__proto__=x",
      ],
      ...["--related", "house=house.1,floor=2", "--payload", '{"litres": 1.5}'],
      ...["--follows", "0190A000-0000-7000-8000-000000000001"],
    ]);
    const [event] = await lastEvents(1);
    expect(code).toBe(0);
    expect(stdout).toContain(event?.id);
    expect(event).toMatchObject({
      event: "pump.stopped",
      related: [{ "prefect.resource.id": "house.1", "prefect.resource.role": "house", floor: "2" }],
      payload: { litres: 1.5 },
      follows: "0190a000-0000-7000-8000-000000000001",
    });
    expect(Object.entries(event?.resource ?? {})).toEqual([
      ["prefect.resource.id", "pump.1"],
      ["zone", "north=2"],
      ["__proto__", "x"],
    ]);
    expect(Date.parse(event?.occurred ?? "")).toBeGreaterThanOrEqual(before);
  });

  test("sends events from a file (a list, one event or one per line) and from standard input", async () => {
    const draft = (name: string) => ({ event: name, resource: { "prefect.resource.id": "pump.1" } });
    const list = sandbox.write("list.json", JSON.stringify([draft("a"), draft("b")], null, 2));
    const single = sandbox.write("single.json", JSON.stringify(draft("c"), null, 2));
    const lines = `${JSON.stringify(draft("d"))}\n\n${JSON.stringify({ ...draft("e"), occurred: "2026-03-01T00:00:00Z" })}\n`;
    for (const [words, input] of [[[list]], [[single]], [["-", "--quiet"], lines]] as const) {
      expect(await emit(words, input)).toMatchObject({ code: 0, stderr: "" });
    }
    const events = await lastEvents(5);
    expect(events.map(({ event }) => event)).toEqual(["a", "b", "c", "d", "e"]);
    expect(events[4]?.occurred).toBe("2026-03-01T00:00:00Z");
  });

  test("sends the good events of a file, and says which others the server or it refused", async () => {
    const draft = (name: string, more = {}) =>
      JSON.stringify({ event: name, resource: { "prefect.resource.id": "pump.1" }, ...more });
    const input = [draft("f"), "not JSON", draft("x", { id: "17" }), "[]", draft("g"), '{"event": "y"}'].join(
      "\n",
    );
    const { code, stdout, stderr } = await emit(["-"], input);
    expect({ code, sent: stdout.match(/sent/g) }).toEqual({ code: 1, sent: ["sent", "sent"] });
    for (const reason of [
      "4 of 6 events were refused; the others are stored",
      "-:2: this line is not valid JSON",
      "-:4: an event must be a JSON object",
      "x  17  id: Input should be a valid UUID",
      "resource: Field required",
    ]) {
      expect(stderr).toContain(reason);
    }
    expect((await lastEvents(2)).map(({ event }) => event)).toEqual(["f", "g"]);
  });

  test.each([
    { words: ["--resource-id", "pump.1"], says: "--event NAME", misuse: true },
    { words: ["--event", "a"], says: "--resource-id ID", misuse: true },
    {
      words: ["--event", "a", "--resource-id", "b", "--payload", "{"],
      says: "--payload is not valid JSON",
      misuse: true,
    },
    {
      words: ["--event", "a", "--resource-id", "b", "--occurred", "now"],
      says: '--occurred is "now". Expected a time',
      misuse: true,
    },
    { words: ["--event", "a", "--resource-id", "b", "--label", "c"], says: "key=value", misuse: true },
    { words: ["no-such-file.json"], says: "Cannot read no-such-file.json" },
    { words: ["-"], input: "x\n7\n", says: "-:1: this line is not valid JSON" },
    { words: ["-"], input: "x\n7\n", says: "-:2: an event must be a JSON object" },
    { words: ["-"], input: '{"event":"a"}\n', says: "resource: Field required" },
    {
      words: ["--event", "a", "--resource-id", "b", "--url", "http://127.0.0.1:1/api"],
      says: "tripline serve",
    },
  ])("refuses $words with the remedy: $says", async ({ words, input, says, misuse = false }) => {
    const before = (await api.entries()).length;
    const { code, stderr } = await emit(words, input);
    expect(stderr).toContain(says);
    expect(stderr).not.toContain("    at ");
    expect(code).toBe(misuse ? 2 : 1);
    expect(await api.entries()).toHaveLength(before);
  });
});

describe("tripline listen", () => {
  const secret = `whsec_${Buffer.from("a secret of some length").toString("base64")}`;
  const signed = (body: string, key: string, id = "msg_1") => {
    const sent = new Date();
    return {
      "webhook-id": id,
      "webhook-timestamp": String(Math.floor(sent.getTime() / 1_000)),
      "webhook-signature": new Webhook(key).sign(id, sent, body),
    };
  };
  const post = (url: string, body: string, headers: Record<string, string> = {}) =>
    fetch(url, { method: "POST", body, headers });

  test("verifies signatures, and counts how often an id arrives", async () => {
    const { url, until } = await sandbox.listen(["--secret", secret]);
    const body = '{"a":1}';
    await post(url, body, signed(body, secret));
    await post(url, body, signed(body, secret));
    await post(url, body, signed(body, `whsec_${Buffer.from("another").toString("base64")}`, "msg_2"));
    await post(url, body);
    const deliveries = await until(({ length }) => length === 4);
    expect(deliveries).toMatchObject([
      { webhook_id: "msg_1", arrival: 1, signature: "valid", body: { a: 1 }, answered: 200 },
      { webhook_id: "msg_1", arrival: 2, signature: "valid" },
      { webhook_id: "msg_2", arrival: 1, signature: expect.stringMatching(/^invalid/) },
      { webhook_id: null, signature: "missing" },
    ]);
  });

  test("can act as an endpoint that fails, permanently or for a while", async () => {
    const failing = await sandbox.listen(["--status", "410"]);
    const recovering = await sandbox.listen(["--fail", "2", "--status", "503"]);
    const statuses = async (url: string) => {
      const found: number[] = [];
      for (let count = 0; count < 3; count += 1) found.push((await post(url, "x")).status);
      return found;
    };
    expect(await statuses(failing.url)).toEqual([410, 410, 410]);
    expect(await statuses(recovering.url)).toEqual([503, 503, 200]);
  });

  test("prints readable deliveries, and stops on SIGINT", async () => {
    const listener = sandbox.tripline(["listen", "--port", "0"]);
    const url = await listener.until(() => /http:\S+/.exec(listener.stdout)?.[0]);
    await post(url, '{"pump":"1"}', { "webhook-id": "msg_7" });
    await listener.until(() => listener.stdout.includes('"pump": "1"'));
    expect(listener.stdout).toMatch(
      /POST \/ {2}answered 200\n {2}webhook-id {2}msg_7\n {2}signature {3}none/,
    );
    expect(await listener.end("SIGINT")).toEqual({ code: 0, signal: null });
  });
});
