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

async function rejectionOf(response: Response, status = 422): Promise<InvalidRequest> {
  expect(response.status).toBe(status);
  return (await response.json()) as InvalidRequest;
}

describe("a valid batch", () => {
  test("is in the log, in order, when it is acknowledged with an empty 204", async () => {
    const labels = { "prefect.resource.id": "pump.1", zone: "north", ["__proto__"]: "x", a: "" };
    const first = pumpEvent({
      resource: labels,
      related: [{ "prefect.resource.id": "house.1", "prefect.resource.role": "house" }],
      payload: { liters: 1.5, "nested ü": [null, { deep: true }] },
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

  test("is stored with the trace of its request, if that is valid", async () => {
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

  test("may have as many events as fit into a body", { timeout: 240_000 }, async () => {
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
    // An attempt that failed may have been stored, too. Its events are then repeats.
    const stored = (await api.connection.xlen("tl:{default}:log")) / count;
    expect(Number.isInteger(stored)).toBe(true);
    expect(stored).toBeGreaterThanOrEqual(1);
    expect(stored).toBeLessThanOrEqual(attempts);
  });

  test.each([
    ["with a charset", { "Content-Type": "application/json; charset=utf-8" }],
    ["with a JSON subtype", { "Content-Type": "application/vnd.api+json" }],
  ])("is read %s", async (_, headers) => {
    const bytes = new TextEncoder().encode(JSON.stringify([pumpEvent()]));
    expect((await api.post(bytes, headers)).status).toBe(204);
  });

  test("is read without a Content-Type, as Prefect's older clients send it", async () => {
    const body = new TextEncoder().encode(JSON.stringify([pumpEvent()]));
    expect((await fetch(`${api.url}/api/events`, { method: "POST", body })).status).toBe(204);
  });

  test("may be compressed, or sent in chunks without a length", async () => {
    const text = JSON.stringify([pumpEvent()]);
    expect((await api.post(gzipSync(text), { "Content-Encoding": "gzip" })).status).toBe(204);
    expect(await postInChunks([text.slice(0, 20), text.slice(20)])).toBe(204);
    expect(await api.events()).toHaveLength(2);
  });
});

describe("an invalid batch", () => {
  test("is rejected as a whole, with the place of each mistake", async () => {
    const batch = [
      pumpEvent(),
      pumpEvent({ event: undefined, occurred: "yesterday", id: "17" }),
      pumpEvent({ resource: { "prefect.resource.id": "", speed: 4 }, related: [{ zone: "n" }] }),
      7,
      pumpEvent({ event: "x".repeat(1_025), payload: [], follows: "y", related: {} }),
    ];
    const { exception_message, exception_detail, request_body } = await rejectionOf(await post(batch));

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

  // An append that starts before the last event is checked would break the promise of all or nothing.
  test("stores nothing, wherever the mistake is", async () => {
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
        const { exception_detail } = await rejectionOf(
          await post([...good(before), pumpEvent(mistake), ...good(after)]),
        );
        expect(exception_detail.map(({ loc }) => loc[1])).toEqual([before]);
        expect(await api.entries()).toEqual([]);
      }),
      { numRuns: 20 },
    );
  });

  test("gets an answer that is much shorter than the batch", async () => {
    const response = await post(Array.from({ length: 5_000 }, () => ({ junk: "x".repeat(300) })));
    const { exception_detail } = await rejectionOf(response);
    expect(exception_detail).toHaveLength(100);
    expect(exception_detail.at(-1)?.msg).toBe("The check stopped after 100 mistakes; there may be more");
    expect(JSON.stringify(exception_detail).length).toBeLessThan(500_000);
  });

  test("that is a single event gets a hint", async () => {
    const { exception_detail } = await rejectionOf(await post(pumpEvent()));
    expect(exception_detail).toMatchObject([
      { type: "list_type", loc: ["body"], msg: expect.stringContaining("put a single event in brackets") },
    ]);
  });

  test.each([
    { body: "", loc: ["body", 0], msg: "line 1, column 1: expected a value" },
    { body: '[{"id": x}]', loc: ["body", 8], msg: "line 1, column 9: expected a value" },
    { body: '[\n{"a": 1,}\n]', loc: ["body", 10], msg: "line 2, column 9: expected a key in double quotes" },
  ])("that is not valid JSON gets the place: $body", async ({ body, loc, msg }) => {
    const { exception_detail } = await rejectionOf(await api.post(body));
    expect(exception_detail).toMatchObject([
      { type: "json_invalid", loc, msg: expect.stringContaining(msg) },
    ]);
  });

  test("that is not text is rejected", async () => {
    const { exception_detail } = await rejectionOf(
      await api.post(new Uint8Array([0x5b, 0x22, 0xff, 0x22, 0x5d])),
    );
    expect(exception_detail[0]?.msg).toBe("The body is not valid UTF-8");
    const { exception_detail: detail } = await rejectionOf(
      await api.post("not compressed", { "Content-Encoding": "gzip" }),
    );
    expect(detail[0]?.msg).toContain("not valid gzip");
  });

  test("that nests too deep for the programs that read it is rejected", async () => {
    const deep = (levels: number): unknown => JSON.parse(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`);
    expect((await post([pumpEvent({ payload: deep(100) })])).status).toBe(204);
    const { exception_detail } = await rejectionOf(await post([pumpEvent({ payload: deep(101) })]));
    expect(exception_detail).toMatchObject([{ type: "too_deep", loc: ["body", 0, "payload"] }]);
    const batch = [pumpEvent(), pumpEvent({ payload: deep(3_000) }), pumpEvent({ id: "7" })];
    const { exception_detail: both } = await rejectionOf(await post(batch));
    expect(both).toMatchObject([{ type: "too_deep", loc: ["body", 1] }, { loc: ["body", 2, "id"] }]);
    const levels = 200_000;
    expect((await api.post(`${"[".repeat(levels)}${"]".repeat(levels)}`)).status).toBe(422);
  });
});

describe("unsupported bodies", () => {
  test.each([
    ["another media type", { "Content-Type": "text/plain" }, "send application/json"],
    ["a form", { "Content-Type": "application/x-www-form-urlencoded" }, "send application/json"],
    ["an unknown encoding", { "Content-Encoding": "br" }, "send gzip, deflate or no encoding"],
  ])("%s is answered with 415 and the remedy", async (_, headers, remedy) => {
    const response = await api.post(JSON.stringify([pumpEvent()]), headers);
    expect(response.status).toBe(415);
    expect(((await response.json()) as { detail: string }).detail).toContain(remedy);
    expect(await api.entries()).toEqual([]);
  });

  test("an event above 1.5 MB is answered with 413 and its place, and its batch is not stored", async () => {
    const response = await post([pumpEvent(), pumpEvent({ payload: { text: "ä".repeat(750_000) } })]);
    const { exception_detail } = await rejectionOf(response, 413);
    expect(exception_detail).toMatchObject([{ type: "too_long", loc: ["body", 1] }]);
    expect(await api.entries()).toEqual([]);
    expect((await post([pumpEvent({ payload: { text: "x".repeat(1_499_000) } })])).status).toBe(204);
  });

  test("a body that is too large is answered with 413, even if it is compressed or has no Content-Length", async () => {
    const text = " ".repeat(bodyBytesMax + 1);
    expect((await api.post(text)).status).toBe(413);
    expect((await api.post(gzipSync(text), { "Content-Encoding": "gzip" })).status).toBe(413);
    expect(await postInChunks([text.slice(0, -1), text.slice(-1)])).toBe(413);
    expect((await post([pumpEvent()])).status).toBe(204);
  });
});

describe("without Redis", () => {
  // A client forgets its events after a 204, so none of them may be missing, whatever happens to Redis.
  test("no acknowledged event is lost, and clients are asked to try again", async () => {
    const acknowledged = new Set<unknown>();
    const rejected: Response[] = [];
    let stopped = false;
    const client = async () => {
      while (!stopped) {
        const batch = [pumpEvent(), pumpEvent()];
        const response = await post(batch);
        if (response.status === 204) for (const { id } of batch) acknowledged.add(id);
        else rejected.push(response);
      }
    };
    const clients = [client(), client(), client()];
    await until(() => acknowledged.size > 50);
    await api.redis.kill9();
    await until(() => rejected.length > 3);
    await api.redis.restart();
    const before = acknowledged.size;
    await until(() => acknowledged.size > before + 50);
    stopped = true;
    await Promise.all(clients);

    for (const response of rejected) {
      expect(response.status).toBe(503);
      expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(0);
    }
    const stored = new Set((await api.events()).map(({ event }) => event.id));
    expect([...acknowledged].filter((id) => !stored.has(id as string))).toEqual([]);
  });

  test("any other failure is a plain 500, and its cause is logged but not sent", async () => {
    await api.connection.set("tl:{default}:log", "not a stream");
    const response = await post([pumpEvent()]);
    expect(response.status).toBe(500);
    expect(await response.json()).toEqual({ exception_message: "Internal Server Error" });
    expect(api.logLines.at(-1)).toContain("WRONGTYPE");
  });
});

/**
 * Posts a batch as a client should: again after each 503, which does not mean that nothing was stored.
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

/** Posts a body without a Content-Length. */
function postInChunks(chunks: readonly string[]): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const upload = request(`${api.url}/api/events`, { method: "POST" }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    upload.on("error", reject);
    for (const chunk of chunks) upload.write(chunk);
    upload.end();
  });
}
