/** Events in Prefect's own client and command line, with only PREFECT_API_URL changed. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PrefectUser, prefectMissing, timeout, titled, versionOf } from "./client-support.ts";
import { ContractServer, type Json, pumpEvent } from "./contract-support.ts";

describe.skipIf(prefectMissing)(titled(`prefect ${versionOf("prefect")}`, "prefect"), { timeout }, () => {
  let server: ContractServer;
  let user: PrefectUser;

  beforeAll(async () => {
    server = await ContractServer.start();
    user = new PrefectUser(server);
  });

  afterAll(() => server.stop());

  const find = (name: string) => server.post("/events/filter", { filter: { event: { name: [name] } } });
  const line = [{ "prefect.resource.id": "line.1", "prefect.resource.role": "line" }];

  test("emits thousands of events, each stored once when the process has ended", async () => {
    await user.program("emit.py", "many", "5000");
    expect((await find("many")).body).toMatchObject({ total: 5_000 });
    const numbers = await server.post("/events/count-by/resource", { filter: { event: { name: ["many"] } } });
    expect((numbers.body as unknown[]).length).toBe(5_000);
  });

  // One event that the server refuses used to end the stream, and the client sent it first after each reconnection.
  test("emits all good events, whatever bad ones are among them", async () => {
    // With its default limits, the client refuses most of them itself.
    const careless = new PrefectUser(server, {
      PREFECT_SERVER_EVENTS_MAXIMUM_LABELS_PER_RESOURCE: "10000",
      PREFECT_SERVER_EVENTS_MAXIMUM_RELATED_RESOURCES: "10000",
      PREFECT_SERVER_EVENTS_MAXIMUM_SIZE_BYTES: "10000000",
    });
    expect(await careless.program("emit_bad.py", "good", "23")).toBe("5\n");
    expect((await find("good")).body).toMatchObject({ total: 23 });
    const { total, events } = (await find("tripline.event.rejected")).body as {
      total: number;
      events: Json[];
    };
    expect(total).toBe(5);
    expect(events.map(({ payload }) => (payload as Json)["reason"])).toEqual(
      expect.arrayContaining([
        expect.stringContaining("nests more than 100 levels deep"),
        expect.stringContaining("larger than 1500000 bytes"),
        expect.stringContaining("at most 1024 characters"),
        expect.stringContaining("at most 100 related resources"),
        expect.stringContaining("at most 500 labels"),
      ]),
    );
  });

  test("reads events page by page, in its async and its sync client", async () => {
    await user.program("emit.py", "paged", "120");
    const seen = JSON.parse(await user.program("read_events.py", "paged", "50")) as {
      pages: string[][];
      [key: string]: unknown;
    };
    expect(seen).toMatchObject({ total: 120, sizes: [50, 50, 20], whole: 100, number: 0, label: "wörld" });
    expect(new Set(seen.pages.flat()).size).toBe(120);
    const [second] = (
      (
        await server.post("/events/filter", {
          filter: { id: { id: [seen.pages[0]?.[1]] } },
        })
      ).body as { events: Json[] }
    ).events;
    expect(second).toMatchObject({ follows: seen.pages[0]?.[0], related: line });
  });

  test("emits events on the command line", async () => {
    const resource = ["--resource", "prefect.resource.id=pump.1", "--payload", '{"reason": "disk full"}'];
    const [printed] = await Promise.all([
      user.prefect("event", "emit", "emitted", ...resource, "--related", JSON.stringify(line)),
      user.prefect("event", "emit", "emitted.too", "--resource-id", "pump.2"),
    ]);
    expect(printed).toContain("Successfully emitted event 'emitted'");
    expect((await find("emitted")).body).toMatchObject({
      events: [
        { resource: { "prefect.resource.id": "pump.1" }, payload: { reason: "disk full" }, related: line },
      ],
    });
    expect((await find("emitted.too")).body).toMatchObject({ total: 1 });
  });

  test("streams recent and new events on the command line", async () => {
    const before = pumpEvent({ event: "streamed.before" });
    await server.emit(before);
    const stream = user.start("event", "stream");
    await stream.until(() => stream.stdout.includes(before.id));
    const live = pumpEvent({ event: "streamed.live" });
    await server.emit(live);
    await stream.until(() => stream.stdout.includes(live.id));
    expect(stream.stdout.split(live.id).length).toBe(2); // printed once
    await stream.end("SIGINT");
  });

  test("subscribes to the events that match a filter", async () => {
    const subscriber = user.startProgram("subscribe.py", "watched.", "3");
    await subscriber.until(() => subscriber.stdout.includes("subscribed"));
    const events = ["watched.a", "watched.no", "unwatched", "watched.b", "watched.c"].map((event) =>
      pumpEvent({ event, related: line }),
    );
    await server.emit(pumpEvent({ event: "watched.unrelated" }), ...events);
    expect({ ...(await subscriber.ended), stderr: subscriber.stderr }).toMatchObject({ code: 0 });
    const wanted = events.filter(({ event }) => /^watched\.[abc]$/.test(String(event)));
    expect(subscriber.stdout.trim().split("\n").slice(1)).toEqual(wanted.map(({ id }) => `${id} pump.1`));
  });

  describe("with a server that requires keys", () => {
    let keyed: ContractServer;
    let key: string;

    beforeAll(async () => {
      keyed = await ContractServer.start();
      key = await keyed.makeKey();
    });

    afterAll(() => keyed.stop());

    const total = async (name: string) => {
      const filter = { event: { name: [name] } };
      return (await keyed.post("/events/filter", { filter }, { Authorization: `Bearer ${key}` })).body;
    };

    test("uses the key as its auth string, for events and for requests", async () => {
      const holder = new PrefectUser(keyed, { PREFECT_API_AUTH_STRING: key });
      await holder.program("emit.py", "keyed", "60");
      expect(await total("keyed")).toMatchObject({ total: 60 });
      const [read, ls, withoutKey] = await Promise.all([
        holder.program("read_events.py", "keyed", "50"),
        holder.prefect("automation", "ls"),
        new PrefectUser(keyed, { PREFECT_API_AUTH_STRING: "wrong" }).tryPrefect("automation", "ls"),
      ]);
      expect(JSON.parse(read)).toMatchObject({ sizes: [50, 10] });
      expect(ls).toContain("Automations");
      expect(withoutKey.code).not.toBe(0);
    });

    // It then opens WebSockets without the subprotocol, and sends its key in the handshake.
    test("uses the key as its API key if it takes the server for Prefect Cloud", async () => {
      const workspace = "00000000-0000-0000-0000-000000000001/workspaces/default";
      const holder = new PrefectUser(keyed, {
        PREFECT_CLOUD_API_URL: keyed.api,
        PREFECT_API_URL: `${keyed.api}/accounts/${workspace}`,
        PREFECT_API_KEY: key,
      });
      await holder.program("emit.py", "cloud", "60");
      const read = await holder.program("read_events.py", "cloud", "50");
      expect(JSON.parse(read)).toMatchObject({ sizes: [50, 10] });
    });
  });

  test("causes no errors in the log of the server", () => {
    const errors = server.server.process.stdout
      .split("\n")
      .filter((line) => /"level":"(?:error|fatal)"/.test(line));
    expect(errors).toEqual([]);
  });
});
