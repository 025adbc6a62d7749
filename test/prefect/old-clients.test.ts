/** Version 2 of Prefect's client: which settings make it send events, as the table in docs/prefect.md says. */

import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { documentedProgram, oldPython, timeout } from "./client-support.ts";
import { ContractServer, type Json } from "./contract-support.ts";

type Settings = Readonly<Record<string, string>>;

const programs = join(import.meta.dirname, "programs");

describe.each(["2.9.0", "2.10.21", "2.20.4"])("prefect %s", { timeout }, (version) => {
  const python = oldPython(version);
  if (python === null) {
    test.skip("not installed; npm run prefect:setup installs it where Python 3.11 or older is on the PATH");
    return;
  }
  let server: ContractServer;
  let key: string;

  beforeAll(async () => {
    server = await ContractServer.start();
  });

  afterAll(() => server.stop());

  /** Runs the program of this version, and counts the events that arrive. */
  async function emitted(settings: Settings, headers: Record<string, string> = {}): Promise<unknown> {
    const name = `emitted.${crypto.randomUUID()}`;
    const program =
      version === "2.9.0"
        ? server.sandbox.write("worker.py", documentedProgram("worker"))
        : join(programs, "emit_old.py");
    const own = { PREFECT_HOME: join(server.sandbox.folder, "prefect-home"), DO_NOT_TRACK: "1" };
    const running = server.sandbox.run(python ?? "", ["-W", "ignore", program, name], {
      ...own,
      ...settings,
    });
    expect({ ...(await running.ended), stderr: running.stderr }).toMatchObject({ code: 0 });
    const filter = { filter: { event: { name: [name] } } };
    const { text, body } = await server.post("/events/filter", filter, headers);
    if ((body as Json)["total"] === 1) {
      expect(text).toContain(version === "2.9.0" ? '"payload":{"litres":3}' : '"order":9400053101578681001');
    }
    return (body as Json)["total"];
  }

  const experiment = { PREFECT_EXPERIMENTAL_ENABLE_EVENTS_CLIENT: "1" };
  const named = () => ({ PREFECT_API_URL: server.api, PREFECT_CLOUD_API_URL: server.api });

  test("emits events to a server that it takes for Prefect Cloud", async () => {
    const needed = version === "2.9.0" ? experiment : {};
    expect(await emitted({ ...named(), PREFECT_API_KEY: "none", ...needed })).toBe(1);
    const workspace = `${server.api}/accounts/${crypto.randomUUID()}/workspaces/default`;
    const inWorkspace = { ...named(), PREFECT_API_URL: workspace };
    expect(await emitted({ ...inWorkspace, PREFECT_API_KEY: "none", ...experiment })).toBe(1);
  });

  test("drops events silently with fewer settings", async () => {
    expect(await emitted({ PREFECT_API_URL: server.api })).toBe(0);
    expect(await emitted({ PREFECT_API_URL: server.api, PREFECT_API_KEY: "none", ...experiment })).toBe(0);
    if (version === "2.9.0") expect(await emitted({ ...named(), PREFECT_API_KEY: "none" })).toBe(0);
  });

  test.runIf(version !== "2.20.4")("needs no key", async () => {
    expect(await emitted({ ...named(), ...(version === "2.9.0" ? experiment : {}) })).toBe(1);
  });

  test.runIf(version === "2.20.4")("emits events to any server with an experimental setting", async () => {
    expect(await emitted({ PREFECT_API_URL: server.api, PREFECT_EXPERIMENTAL_EVENTS: "1" })).toBe(1);
  });

  test("uses a key, once the server requires one", async () => {
    const create = ["keys", "create", "--name", "old", "--redis", server.redis.url, "--scope", "admin"];
    key = (await server.sandbox.output(create)).stdout.trim();
    await expect.poll(async () => (await server.get("/hello")).status).toBe(401);
    const headers = { Authorization: `Bearer ${key}` };
    expect(await emitted({ ...named(), PREFECT_API_KEY: key, ...experiment }, headers)).toBe(1);
  });
});
