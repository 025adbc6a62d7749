/** Flow runs of a real Prefect server, reported by the programs in docs/prefect.md. */

import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { freePort } from "../support/free-port.ts";
import {
  documentedProgram,
  installed,
  prefectMissing,
  timeout,
  titled,
  versionOf,
} from "./client-support.ts";
import { ContractServer, type Json } from "./contract-support.ts";

describe.skipIf(prefectMissing)(titled(`prefect ${versionOf("prefect")}`, "prefect"), { timeout }, () => {
  let server: ContractServer;
  let prefectApi: string;
  const settings = () => ({
    PREFECT_API_URL: prefectApi,
    PREFECT_HOME: `${server.sandbox.folder}/prefect-home`,
    PREFECT_SERVER_ANALYTICS_ENABLED: "false",
    DO_NOT_TRACK: "1",
    TRIPLINE_API_URL: server.api,
  });

  beforeAll(async () => {
    server = await ContractServer.start();
    const port = String(await freePort());
    prefectApi = `http://127.0.0.1:${port}/api`;
    const words = ["server", "start", "--host", "127.0.0.1", "--port", port, "--no-ui"];
    server.sandbox.run(installed("prefect") ?? "", words, { ...settings(), PREFECT_API_URL: "" });
    const isHealthy = () =>
      fetch(`${prefectApi}/health`).then(
        ({ ok }) => ok,
        () => false,
      );
    await vi.waitUntil(isHealthy, { timeout, interval: 500 });
  }, timeout);

  afterAll(() => server.stop());

  async function run(name: string): Promise<string> {
    const path = server.sandbox.write(`${name}.py`, documentedProgram(name));
    const running = server.sandbox.run(installed("python") ?? "", [path], settings());
    await running.ended;
    return running.stdout + running.stderr;
  }

  async function stateEvents(): Promise<Json[]> {
    const filter = { event: { prefix: ["prefect.flow-run."], exclude_name: ["prefect.flow-run.heartbeat"] } };
    const { body } = await server.post("/events/filter", { filter: { ...filter, order: "ASC" } });
    return (body as { events: Json[] }).events;
  }

  const states = async () => (await stateEvents()).map(({ event }) => event);

  test("a flow reports its states by hooks", async () => {
    server.sandbox.write("report.py", documentedProgram("report"));
    expect(await run("flow")).toContain("ValueError: the pump leaks");
    expect(await states()).toEqual(["prefect.flow-run.Running", "prefect.flow-run.Failed"]);
    const [, failed] = await stateEvents();
    expect(failed).toMatchObject({
      resource: { "prefect.state-type": "FAILED", "prefect.state-message": expect.stringContaining("leaks") },
      related: [{ "prefect.resource.role": "flow", "prefect.resource.name": "water" }],
    });
  });

  test("an automation of the Prefect server forwards the events of all flows", {
    timeout,
  }, async () => {
    const known = new Set((await stateEvents()).map(({ id }) => id));
    const printed = await run("forward");
    expect(printed).not.toContain("Traceback");
    // The server learns of a new automation within some seconds, so a run before that may not be forwarded.
    const forwarded = async () => {
      const text = "from prefect import flow\n@flow\ndef water():\n    return 1\nwater()\n";
      const path = server.sandbox.write("plain.py", text);
      await server.sandbox.run(installed("python") ?? "", [path], settings()).ended;
      return (await stateEvents()).filter(({ id }) => !known.has(id)).map(({ event }) => event);
    };
    await expect
      .poll(forwarded, { timeout, interval: 1_000 })
      .toEqual(expect.arrayContaining(["prefect.flow-run.Running", "prefect.flow-run.Completed"]));
  });
});
