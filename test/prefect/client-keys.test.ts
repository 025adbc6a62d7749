/** Prefect's own client and command line against a server that requires keys. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { workspaceIdOf } from "../../src/api/http/tenant.ts";
import { PrefectUser, prefectMissing, timeout, titled, versionOf } from "./client-support.ts";
import { ContractServer, type Json } from "./contract-support.ts";

describe.skipIf(prefectMissing)(titled(`prefect ${versionOf("prefect")}`, "prefect"), { timeout }, () => {
  let server: ContractServer;
  let key: string;

  beforeAll(async () => {
    server = await ContractServer.start(["--workspace", "default,north"]);
    key = await createKey("--scope", "admin");
    while ((await server.get("/hello")).status !== 401)
      await new Promise((resolve) => setTimeout(resolve, 50));
  });

  afterAll(() => server.stop());

  async function createKey(...options: string[]): Promise<string> {
    const create = ["keys", "create", "--name", "prefect", "--redis", server.redis.url];
    return (await server.sandbox.output([...create, ...options])).stdout.trim();
  }

  const eventCount = async (name: string, path = "/events/filter") => {
    const filter = { filter: { event: { name: [name] } } };
    const { body } = await server.post(path, filter, { Authorization: `Bearer ${key}` });
    return (body as Json)["total"];
  };

  test.each([
    ["PREFECT_API_AUTH_STRING", () => ({ PREFECT_API_AUTH_STRING: key })],
    ["PREFECT_API_AUTH_STRING with a user name", () => ({ PREFECT_API_AUTH_STRING: `admin:${key}` })],
    [
      "PREFECT_API_KEY with the server as its Prefect Cloud",
      () => ({ PREFECT_API_KEY: key, PREFECT_CLOUD_API_URL: server.api }),
    ],
  ])("uses %s for commands, requests and events", async (_, settings) => {
    const user = new PrefectUser(server, settings());
    const name = `emitted.${crypto.randomUUID()}`;
    await user.prefect("event", "emit", name, "--resource-id", "pump.1");
    await user.program("emit.py", name, "20");
    expect(await eventCount(name)).toBe(21);
    expect(await user.prefect("automation", "ls")).toContain("Automations");
  });

  // If the server is not its Prefect Cloud, the client sends PREFECT_API_KEY with requests, but not to a WebSocket.
  test("uses PREFECT_API_KEY alone for requests", async () => {
    const user = new PrefectUser(server, { PREFECT_API_KEY: key });
    expect(await user.prefect("automation", "ls")).toContain("Automations");
  });

  test("chooses the workspace by the id or the name in a URL of Prefect Cloud", async () => {
    const north = await createKey("--workspace", "north", "--scope", "events:write,events:read");
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
    expect(await eventCount("northern")).toBe(0);
  });

  test("reports a missing key or scope", async () => {
    const withoutKey = await new PrefectUser(server).tryPrefect("automation", "ls");
    expect(withoutKey.code).not.toBe(0);
    expect(withoutKey.stdout + withoutKey.stderr).toContain("401");
    const user = new PrefectUser(server, { PREFECT_API_KEY: await createKey("--scope", "events:write") });
    const withoutScope = await user.tryPrefect("automation", "ls");
    expect(withoutScope.code).not.toBe(0);
    expect(withoutScope.stdout + withoutScope.stderr).toContain("This key lacks the scope automations:read");
  });
});
