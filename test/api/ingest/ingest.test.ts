import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { bodyBytesMax } from "../../../src/api/http/body.ts";
import type { InvalidRequest } from "../../../src/api/http/refusal.ts";
import fc from "../../support/fast-check.ts";
import { pumpEvent, startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(async () => {
  await api.connection.flushall();
});

const post = (value: unknown) => api.post(JSON.stringify(value));

async function refusalOf(response: Response, status = 422): Promise<InvalidRequest> {
  expect(response.status).toBe(status);
  return (await response.json()) as InvalidRequest;
}

describe("a valid batch", () => {
  test("is in the log, in its order, when it is acknowledged with an empty 204", async () => {
    const labels = { "prefect.resource.id": "pump.1", zone: "north", ["__proto__"]: "x", a: "" };
    const first = pumpEvent({
      resource: labels,
      related: [{ "prefect.resource.id": "house.1", "prefect.resource.role": "house" }],
      payload: { litres: 1.5, "nested ü": [null, { deep: true }] },
      follows: "00000000-0000-4000-8000-00000000ABCD",
      unknown: "ignored",
    });
    const second = pumpEvent({ occurred: "2026-03-01T10:30:00+01:00" });

    const response = await post([first, second]);

    expect(response.status).toBe(204);
    expect(await response.text()).toBe("");
    const { unknown: _, ...stored } = first;
    const [a, b] = await api.events();
    expect(a?.event.wire).toEqual({ ...stored, follows: "00000000-0000-4000-8000-00000000abcd" });
    expect(Object.entries(a?.event.wire.resource ?? {})).toEqual(Object.entries(labels));
    expect(b?.event.wire).toEqual({ ...second, related: [], payload: {}, follows: null });
    expect(a?.event.lineage).toEqual([]);
  });

  test("is stored with the trace of its request, if the request names a valid one", async () => {
    const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const body = JSON.stringify([pumpEvent(), pumpEvent()]);
    await api.post(body, { traceparent, tracestate: "vendor=a" });
    await api.post(
      body.replaceAll(/"id":"[^"]+"/g, () => `"id":"${crypto.randomUUID()}"`),
      { traceparent: "00-1" },
    );
    const traces = (await api.events()).map(({ event }) => event.trace);
    expect(traces).toEqual([`${traceparent} vendor=a`, `${traceparent} vendor=a`, null, null]);
  });

  test("may be empty", async () => {
    expect((await post([])).status).toBe(204);
    expect(await api.entries()).toEqual([]);
  });

  test("may hold as many events as there is room for in a body", { timeout: 240_000 }, async () => {
    const events = Array.from({ length: 80_000 }, () => ({
      ...pumpEvent(),
      id: randomUUID(),
      resource: { "prefect.resource.id": "a" },
    }));
    await postUntilStored(events);
    const stored = (await api.events()).map(({ event }) => event.id);
    expect(new Set(stored)).toEqual(new Set(events.map(({ id }) => id)));
  });

  test("may be as large as the limits allow", { timeout: 240_000 }, async () => {
    const count = 50_000;
    const event = { ...pumpEvent(), id: undefined };
    const batch = Array.from({ length: count }, (_, index) => ({
      ...event,
      id: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
    }));
    const attempts = await postUntilStored(batch);
    // A refused attempt may have been stored too: its events are repeats then.
    const stored = (await api.connection.xlen("tl:{default}:log")) / count;
    expect(Number.isInteger(stored)).toBe(true);
    expect(stored).toBeGreaterThanOrEqual(1);
    expect(stored).toBeLessThanOrEqual(attempts);
  });

  test.each([
    ["with a charset", { "Content-Type": "application/json; charset=utf-8" }],
    ["as one of JSON's subtypes", { "Content-Type": "application/vnd.api+json" }],
  ])("is read %s", async (_, headers) => {
    const bytes = new TextEncoder().encode(JSON.stringify([pumpEvent()]));
    expect((await api.post(bytes, headers)).status).toBe(204);
  });

  test("is read without a Content-Type, as Prefect's older clients send it", async () => {
    const body = new TextEncoder().encode(JSON.stringify([pumpEvent()]));
    expect((await fetch(`${api.url}/api/events`, { method: "POST", body })).status).toBe(204);
  });

  test("may come compressed, or in pieces of unknown length", async () => {
    const text = JSON.stringify([pumpEvent()]);
    expect((await api.post(gzipSync(text), { "Content-Encoding": "gzip" })).status).toBe(204);
    expect(await postInPieces([text.slice(0, 20), text.slice(20)])).toBe(204);
    expect(await api.events()).toHaveLength(2);
  });
});

describe("a batch with a mistake", () => {
  test("is refused whole, and each mistake is named by its place", async () => {
    const batch = [
      pumpEvent(),
      pumpEvent({ event: undefined, occurred: "yesterday", id: "17" }),
      pumpEvent({ resource: { "prefect.resource.id": "", speed: 4 }, related: [{ zone: "n" }] }),
      7,
      pumpEvent({ event: "x".repeat(1_025), payload: [], follows: "y", related: {} }),
    ];
    const { exception_message, exception_detail, request_body } = await refusalOf(await post(batch));

    expect(exception_message).toBe("Invalid request received.");
    expect(exception_detail.map(({ type, loc, msg }) => `${type} ${loc.join(".")}: ${msg}`)).toEqual([
      "value_error body.1.occurred: Input should be a valid RFC 3339 date-time, such as 2026-03-01T09:30:00Z",
      "missing body.1.event: Field required",
      "value_error body.1.id: Input should be a valid UUID",
      "value_error body.2.resource.speed: A label's value should be a string",
      "value_error body.2.resource.prefect.resource.id: Resources must include a non-empty prefect.resource.id label",
      "value_error body.2.related.0.prefect.resource.id: Resources must include a non-empty prefect.resource.id label",
      "value_error body.2.related.0.prefect.resource.role: Resources must include a non-empty prefect.resource.role label",
      "object_type body.3: Invalid input: expected object, received number",
      "too_long body.4.event: An event's name has at most 1024 characters",
      "list_type body.4.related: Invalid input: expected array, received object",
      "value_error body.4.payload: Input should be a JSON object",
      "value_error body.4.follows: Input should be a valid UUID",
    ]);
    expect(exception_detail[0]?.input).toBe("yesterday");
    expect(exception_detail[3]?.input).toBe(4);
    expect(request_body).toHaveLength(batch.length);
    expect(await api.entries()).toEqual([]);
  });

  // The promise of all or nothing would be broken by an append that starts before the last event is checked.
  test("leaves nothing behind, wherever the mistake is", async () => {
    const mistakes = [
      { event: 5 },
      { occurred: "2026-02-30T00:00:00Z" },
      { resource: { name: "no id" } },
      { payload: "text" },
      { id: null },
    ];
    await fc.assert(
      fc.asyncProperty(fc.nat(5), fc.nat(5), fc.constantFrom(...mistakes), async (before, after, mistake) => {
        const good = (count: number) => Array.from({ length: count }, () => pumpEvent());
        const { exception_detail } = await refusalOf(
          await post([...good(before), pumpEvent(mistake), ...good(after)]),
        );
        expect(exception_detail.map(({ loc }) => loc[1])).toEqual([before]);
        expect(await api.entries()).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  test("is told in a refusal much shorter than itself", async () => {
    const response = await post(Array.from({ length: 5_000 }, () => ({ junk: "x".repeat(300) })));
    const { exception_detail } = await refusalOf(response);
    expect(exception_detail).toHaveLength(1_001);
    expect(exception_detail.at(-1)?.msg).toBe("And 19000 more mistakes");
    expect(JSON.stringify(exception_detail).length).toBeLessThan(500_000);
  });

  test("says what to do with a single event", async () => {
    const { exception_detail } = await refusalOf(await post(pumpEvent()));
    expect(exception_detail).toMatchObject([
      { type: "list_type", loc: ["body"], msg: expect.stringContaining("put a single event in brackets") },
    ]);
  });

  test.each([
    { body: "", loc: ["body", 0], msg: "line 1, column 1: expected a value" },
    { body: '[{"id": x}]', loc: ["body", 8], msg: "line 1, column 9: expected a value" },
    { body: '[\n{"a": 1,}\n]', loc: ["body", 10], msg: "line 2, column 9: expected a key in double quotes" },
  ])("$body is not valid JSON, and the place is named", async ({ body, loc, msg }) => {
    const { exception_detail } = await refusalOf(await api.post(body));
    expect(exception_detail).toMatchObject([
      { type: "json_invalid", loc, msg: expect.stringContaining(msg) },
    ]);
  });

  test("is no text at all", async () => {
    const { exception_detail } = await refusalOf(
      await api.post(new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d])),
    );
    expect(exception_detail[0]?.msg).toBe("The body is not valid UTF-8");
    const { exception_detail: detail } = await refusalOf(
      await api.post("not compressed", { "Content-Encoding": "gzip" }),
    );
    expect(detail[0]?.msg).toContain("not valid gzip");
  });

  test("nests too deep for the programs that would read it", async () => {
    const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
    expect((await post([pumpEvent({ payload: deep(100) })])).status).toBe(204);
    const { exception_detail } = await refusalOf(await post([pumpEvent({ payload: deep(101) })]));
    expect(exception_detail).toMatchObject([{ type: "too_deep", loc: ["body", 0, "payload"] }]);
    const levels = 200_000;
    expect((await api.post(`${"[".repeat(levels)}${"]".repeat(levels)}`)).status).toBe(422);
  });
});

describe("a body that is not for us", () => {
  test.each([
    ["another type", { "Content-Type": "text/plain" }, "send application/json"],
    ["a form", { "Content-Type": "application/x-www-form-urlencoded" }, "send application/json"],
    ["an unknown encoding", { "Content-Encoding": "br" }, "send gzip, deflate or no encoding"],
  ])("%s is answered with 415 and the remedy", async (_, headers, remedy) => {
    const response = await api.post(JSON.stringify([pumpEvent()]), headers);
    expect(response.status).toBe(415);
    expect(((await response.json()) as { detail: string }).detail).toContain(remedy);
    expect(await api.entries()).toEqual([]);
  });

  test("an event above 1.5 MB is answered with 413 and named, and the batch with it is not stored", async () => {
    const response = await post([pumpEvent(), pumpEvent({ payload: { text: "ä".repeat(750_000) } })]);
    const { exception_detail } = await refusalOf(response, 413);
    expect(exception_detail).toMatchObject([{ type: "too_long", loc: ["body", 1] }]);
    expect(await api.entries()).toEqual([]);
    expect((await post([pumpEvent({ payload: { text: "x".repeat(1_499_000) } })])).status).toBe(204);
  });

  test("a body too large is answered with 413, however it says how large it is", async () => {
    const text = " ".repeat(bodyBytesMax + 1);
    expect((await api.post(text)).status).toBe(413);
    expect((await api.post(gzipSync(text), { "Content-Encoding": "gzip" })).status).toBe(413);
    expect(await postInPieces([text.slice(0, -1), text.slice(-1)])).toBe(413);
    expect((await post([pumpEvent()])).status).toBe(204);
  });
});

describe("without Redis", () => {
  // A client that was told 204 forgets its events: then not one of them may be missing, whatever happens to Redis.
  test("nothing acknowledged is lost, and clients are asked to try again", async () => {
    const acknowledged = new Set<unknown>();
    const refused: Response[] = [];
    let stopped = false;
    const client = async () => {
      while (!stopped) {
        const batch = [pumpEvent(), pumpEvent()];
        const response = await post(batch);
        if (response.status === 204) for (const { id } of batch) acknowledged.add(id);
        else refused.push(response);
      }
    };
    const clients = [client(), client(), client()];
    await until(() => acknowledged.size > 50);
    await api.redis.kill9();
    await until(() => refused.length > 3);
    await api.redis.restart();
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 50);
    stopped = true;
    await Promise.all(clients);

    for (const response of refused) {
      expect(response.status).toBe(503);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    const stored = new Set((await api.events()).map(({ event }) => event.id));
    expect([...acknowledged].filter((id) => !stored.has(id as string))).toEqual([]);
  });

  test("a failure of another kind is a plain 500, told to the operator and not to the client", async () => {
    await api.connection.set("tl:{default}:log", "not a stream");
    const response = await post([pumpEvent()]);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ exception_message: "Internal Server Error" });
    expect(api.logLines.at(-1)).toContain("WRONGTYPE");
  });
});

/**
 * Posts a batch as a client should: again after a 503, which says that Redis took too long, and not that nothing was stored.
 *
 * @returns the number of attempts
 */
async function postUntilStored(batch: readonly object[]): Promise<number> {
  for (let attempts = 1; ; attempts += 1) {
    const { status } = await post(batch);
    if (status === 204) return attempts;
    expect(status).toBe(503);
  }
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Posts without saying how long the body will be. */
function postInPieces(pieces: readonly string[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const upload = request(`${api.url}/api/events`, { method: "POST" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    upload.on("error", reject);
    for (const piece of pieces) upload.write(piece);
    upload.end();
  });
}
