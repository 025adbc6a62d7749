/** Prefect's own client and command line against a server that asks for keys. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workspaceIdOf } from "../../src/api/http/tenant.ts";
import { PrefectUser, prefectMissing, titled, versionOf } from "./client-support.ts";
import { ContractServer, type Json } from "./contract-support.ts";

describe.skipIf(prefectMissing)(titled(`prefect ${versionOf("prefect")} and API keys`, "prefect"), () => {
  let server: ContractServer;
  let key: string;

  beforeAll(async () => {
    server = await ContractServer.start(["--workspace", "default,north"]);
    key = await keyWith("--scope", "admin");
    while ((await server.get("/hello")).status !== 401)
      await new Promise((resolve) => setTimeout(resolve, 50));
  });

  afterAll(() => server.stop());

  async function keyWith(...words: string[]): Promise<string> {
    const create = ["keys", "create", "--name", "prefect", "--redis", server.redis.url];
    return (await server.sandbox.output([...create, ...words])).stdout.trim();
  }

  const emittedAs = async (name: string, path = "/events/filter") => {
    const filter = { filter: { event: { name: [name] } } };
    const { body } = await server.post(path, filter, { Authorization: `Bearer ${key}` });
    return (body as Json)["total"];
  };

  test.each([
    ["PREFECT_API_AUTH_STRING", () => ({ PREFECT_API_AUTH_STRING: key })],
    ["PREFECT_API_AUTH_STRING, after a name", () => ({ PREFECT_API_AUTH_STRING: `admin:${key}` })],
    [
      "PREFECT_API_KEY, where this is its Cloud",
      () => ({ PREFECT_API_KEY: key, PREFECT_CLOUD_API_URL: server.api }),
    ],
  ])("%s: commands, requests and events", async (_, settings) => {
    const user = new PrefectUser(server, settings());
    const name = `emitted.${crypto.randomUUID()}`;
    await user.done("event", "emit", name, "--resource-id", "pump.1");
    await user.program("emit.py", name, "20");
    expect(await emittedAs(name)).toBe(21);
    expect(await user.done("automation", "ls")).toContain("Automations");
  });

  // To what is not its Cloud, Prefect's client sends PREFECT_API_KEY with requests, and not when it opens a WebSocket.
  test("PREFECT_API_KEY alone: requests", async () => {
    const user = new PrefectUser(server, { PREFECT_API_KEY: key });
    expect(await user.done("automation", "ls")).toContain("Automations");
  });

  test("Prefect Cloud's address names the workspace, by its id or its name", async () => {
    const north = await keyWith("--workspace", "north", "--scope", "events:write,events:read");
    for (const workspace of ["north", workspaceIdOf("north")]) {
      const address = `${server.api}/accounts/${crypto.randomUUID()}/workspaces/${workspace}`;
      const settings = {
        PREFECT_API_URL: address,
        PREFECT_API_KEY: north,
        PREFECT_CLOUD_API_URL: server.api,
      };
      await new PrefectUser(server, settings).program("emit.py", "northern", "5");
      const other = { PREFECT_API_URL: address, PREFECT_API_AUTH_STRING: north };
      await new PrefectUser(server, other).program("emit.py", "northern", "5");
    }
    const headers = { Authorization: `Bearer ${north}` };
    const { body } = await server.post(
      "/events/filter",
      { filter: { event: { name: ["northern"] } } },
      headers,
    );
    expect((body as Json)["total"]).toBe(20);
    expect(await emittedAs("northern")).toBe(0);
  });

  test("a client is told what is missing: a key, or a scope", async () => {
    const stranger = await new PrefectUser(server).prefect("automation", "ls");
    expect(stranger.code).not.toBe(0);
    expect(stranger.stdout + stranger.stderr).toContain("401");
    const user = new PrefectUser(server, { PREFECT_API_KEY: await keyWith("--scope", "events:write") });
    const narrow = await user.prefect("automation", "ls");
    expect(narrow.code).not.toBe(0);
    expect(narrow.stdout + narrow.stderr).toContain("This key lacks the scope automations:read");
  });
});
