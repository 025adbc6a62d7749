import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { InvalidRequest } from "../../../src/api/http/refusal.ts";
import { EventSchema, type WireEvent } from "../../../src/core/model/event.ts";
import fc from "../../support/fast-check.ts";
import { startApi, type TestApi } from "../support.ts";

let api: TestApi;

beforeAll(async () => {
  api = await startApi();
});

afterAll(() => api.stop());

beforeEach(async () => {
  await api.connection.flushall();
});

const structured = "application/cloudevents+json";
const batched = "application/cloudevents-batch+json";

function post(type: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const bytes =
    body instanceof Uint8Array
      ? (body as Uint8Array<ArrayBuffer>)
      : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  const sent = { ...(type === "" ? {} : { "Content-Type": type }), ...headers };
  return fetch(`${api.url}/api/cloudevents`, { method: "POST", body: bytes, headers: sent });
}

/** The stored events, once the request is acknowledged. Expects each to be valid. */
async function eventsOf(response: Promise<Response>): Promise<WireEvent[]> {
  const { status } = await response;
  expect(status).toBe(204);
  const events = (await api.events()).map(({ event }) => event.wire);
  for (const event of events) expect(EventSchema.parse(event)).toEqual(event);
  return events;
}

async function mistakesOf(response: Promise<Response>): Promise<[place: string, message: string][]> {
  const { status } = await response;
  const { exception_detail: mistakes } = (await (await response).json()) as InvalidRequest;
  expect(status).toBe(422);
  expect(await api.events()).toEqual([]);
  return mistakes.map(({ loc, msg }) => [loc.join("."), msg]);
}

// The examples of the specification: https://github.com/cloudevents/spec (JSON format 3.2, HTTP binding 3.1.4, 3.3.3).
const example = {
  specversion: "1.0",
  type: "com.github.pull_request.opened",
  source: "https://github.com/cloudevents/spec/pull",
  subject: "123",
  id: "A234-1234-1234",
  time: "2018-04-05T17:31:00Z",
  comexampleextension1: "value",
  comexampleothervalue: 5,
};
const exampleEvent = {
  occurred: "2018-04-05T17:31:00Z",
  event: "com.github.pull_request.opened",
  resource: {
    "prefect.resource.id": "https://github.com/cloudevents/spec/pull/123",
    "cloudevents.id": "A234-1234-1234",
    "cloudevents.source": "https://github.com/cloudevents/spec/pull",
    "cloudevents.subject": "123",
    comexampleextension1: "value",
    comexampleothervalue: "5",
  },
  related: [],
  follows: null,
};

describe("a CloudEvent in structured mode", () => {
  test("becomes an event: the specification's example, with XML as data", async () => {
    const data = '<much wow="xml"/>';
    const sent = { ...example, datacontenttype: "text/xml", data };
    const [event] = await eventsOf(post(`${structured}; charset=UTF-8`, sent));
    expect(event).toMatchObject({
      ...exampleEvent,
      resource: { ...exampleEvent.resource, "cloudevents.datacontenttype": "text/xml" },
      payload: { data },
    });
  });

  test.each([
    ["an object", { data: { appinfoA: "abc", appinfoB: 123, ["__proto__"]: 1 } }, null],
    ["a list", { data: [1, { a: null }] }, { data: [1, { a: null }] }],
    ["a number", { data: 0 }, { data: 0 }],
    ["false", { data: false }, { data: false }],
    ["nothing", {}, {}],
    ["null", { data: null, data_base64: null }, {}],
    ["bytes", { data_base64: "AAH/", datacontenttype: "application/octet-stream" }, { data_base64: "AAH/" }],
  ])("has its data as payload: %s", async (_, data, payload) => {
    const text = JSON.stringify({ ...example, ...data });
    const [event] = await eventsOf(post(structured, text));
    const wanted = payload ?? (JSON.parse(text) as { data: object }).data;
    expect(JSON.stringify(event?.payload)).toBe(JSON.stringify(wanted));
  });

  test("without a time occurred when it was received, and has no labels for null attributes", async () => {
    const bare = { specversion: "1.0", id: "1", source: "/pumps/", type: "pump.stopped" };
    const sent = { ...bare, subject: null, time: null, dataschema: null, ext: null };
    const [event] = await eventsOf(post(structured, sent));
    expect(event?.resource).toEqual({
      "prefect.resource.id": "/pumps/",
      "cloudevents.id": "1",
      "cloudevents.source": "/pumps/",
    });
    expect(Math.abs(Date.parse(event?.occurred ?? "") - Date.now())).toBeLessThan(60_000);
  });

  // An id is unique only within its source, but the id of an event is a UUID: equal pairs must give equal UUIDs.
  test("keeps an id that is a UUID, and otherwise derives one from source and id", async () => {
    const id = randomUUID();
    const idWith = async (changes: object) => {
      await api.connection.flushall();
      return (await eventsOf(post(structured, { ...example, ...changes })))[0]?.id;
    };
    expect(await idWith({ id })).toBe(id);
    expect(await idWith({ id: id.toUpperCase() })).toBe(id);
    const derived = await idWith({});
    expect(await idWith({ type: "other", subject: "9" })).toBe(derived);
    expect(await idWith({ id: "B" })).not.toBe(derived);
    expect(await idWith({ source: "/other" })).not.toBe(derived);
  });

  test("may have as many extensions as its resource has room for", async () => {
    expect(await eventsOf(post(structured, { ...example, ...extensions(488) }))).toHaveLength(1);
  });
});

describe("a batch", () => {
  test("is accepted as a whole, in order", async () => {
    const sent = ["1", "2", "3"].map((id) => ({ ...example, id }));
    const events = await eventsOf(post(batched, sent));
    expect(events.map(({ resource }) => resource["cloudevents.id"])).toEqual(["1", "2", "3"]);
  });

  test("may be empty", async () => {
    expect(await eventsOf(post(batched, []))).toEqual([]);
  });

  test("stores its valid events, and says which others it refuses", async () => {
    const sent = [
      { ...example, id: "a" },
      { ...example, type: "" },
      7,
      { ...example, data: { a: nested(200) } },
      { ...example, data: nested(3_000) },
      { ...example, data: "x".repeat(5_000_000) },
      { ...example, id: "b" },
    ];
    const before = (await api.events()).length;
    const answer = await post(batched, sent);
    expect(answer.status).toBe(422);
    const { exception_message, exception_detail } = (await answer.json()) as {
      exception_message: string;
      exception_detail: { loc: string[]; msg: string }[];
    };
    expect(exception_message).toBe("5 of 7 CloudEvents are refused; the others are stored.");
    expect(exception_detail.map(({ loc, msg }) => [loc.join("."), msg])).toEqual([
      ["body.1.type", "Input should not be empty"],
      ["body.2", "Input should be a CloudEvent: a JSON object"],
      ["body.3.data", "The payload nests more than 100 levels deep"],
      ["body.4", "This item nests more than 999 levels deep"],
      ["body.5", expect.stringContaining("The event is larger than 1500000 bytes")],
    ]);
    const stored = (await api.events())
      .slice(before)
      .map(({ event }) => event.resource.get("cloudevents.id"));
    expect(stored).toEqual(["a", "b"]);
  });

  test("is a list", async () => {
    expect(await mistakesOf(post(batched, example))).toEqual([
      ["body", expect.stringContaining("should be a list of CloudEvents")],
    ]);
  });
});

describe("a CloudEvent in binary mode", () => {
  const headers = Object.fromEntries(
    Object.entries(example).map(([name, value]) => [`ce-${name}`, String(value)]),
  );

  test("becomes the same event: the specification's example", async () => {
    const [event] = await eventsOf(
      post("application/json; charset=utf-8", { appinfoA: "abc" }, { ...headers, "X-Other": "1" }),
    );
    const type = { "cloudevents.datacontenttype": "application/json; charset=utf-8" };
    expect(event).toMatchObject({
      ...exampleEvent,
      resource: { ...exampleEvent.resource, ...type },
      payload: { appinfoA: "abc" },
    });
  });

  test.each([
    ["JSON", "application/vnd.pumps+json", "[1]", { data: [1] }],
    ["text", "text/plain", "ü", { data: "ü" }],
    ["XML", "application/xml", "<a/>", { data: "<a/>" }],
    ["text without a type", "", "a", { data: "a" }],
    ["JSON without a type", "", '{"liters": 3}', { liters: 3 }],
    ["text that only begins like JSON", "", "[north] stopped", { data: "[north] stopped" }],
    ["bytes", "application/octet-stream", Uint8Array.of(0, 1, 255), { data_base64: "AAH/" }],
    ["bytes that are declared as text", "text/plain", Uint8Array.of(255), { data_base64: "/w==" }],
    ["nothing", "application/json", "", {}],
    // As the SDK for JavaScript sends strings and bytes.
    ["a string that is declared as JSON", "application/json", "disk full", { data: "disk full" }],
    ["bytes that are declared as JSON", "application/json", Uint8Array.of(255), { data_base64: "/w==" }],
    // As curl sends everything.
    ["JSON that is declared as a form", "application/x-www-form-urlencoded", '{"a": 1}', { a: 1 }],
    ["a form", "application/x-www-form-urlencoded", "a=b", { data: "a=b" }],
  ])("has its body as data: %s", async (_, type, body, payload) => {
    const [event] = await eventsOf(post(type, body, headers));
    expect(event?.payload).toEqual(payload);
  });

  test.each([
    ["Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"], // the specification's example
    ["100%25", "100%"],
    // As the SDKs for Go and Java send it.
    ["100%", "100%"],
    ["50% of %zz", "50% of %zz"],
    ["%ff", "%ff"],
    ["%2525", "%25"],
    ['"quoted \\"text\\" %C3%BC"', 'quoted "text" ü'],
    [Buffer.from("Euro €").toString("latin1"), "Euro €"], // sent as it is, in UTF-8
    ["\xFC", "ü"], // and in Latin-1
  ])("has percent-encoded attributes: %s", async (encoded, decoded) => {
    const [event] = await eventsOf(post("", "", { ...headers, "ce-subject": encoded }));
    expect(event?.resource["cloudevents.subject"]).toBe(decoded);
  });

  test("may have empty headers", async () => {
    const empty = { "ce-subject": "", "ce-time": "", "ce-dataschema": "", "Content-Type": "" };
    const { "ce-subject": _, "ce-time": __, ...rest } = headers;
    const [event] = await eventsOf(post("", "", { ...rest, ...empty }));
    expect(Object.keys(event?.resource ?? {})).not.toContain("cloudevents.subject");
  });

  test.each([
    ["/go%20src/%C3%BC", "/go%20src/%C3%BC"], // as the SDK for Go sends it
    ["/go%2520src", "/go%20src"], // as the specification says
    ["/gr%C3%BC%C3%9Fe", "/grüße"],
    ["/plain?a=b%0A", "/plain?a=b%0A"],
  ])("has a URI that holds codes itself: %s", async (sent, source) => {
    const [event] = await eventsOf(post("", "", { ...headers, "ce-source": sent }));
    expect(event?.resource["cloudevents.source"]).toBe(source);
  });

  test("gives the same event as structured mode, whatever its attributes contain", async () => {
    const text = fc
      .string({ unit: "grapheme", minLength: 1, maxLength: 20 })
      .filter((value) => value.trim() !== "");
    await fc.assert(
      fc.asyncProperty(text, text, async (id, extension) => {
        await api.connection.flushall();
        const attributes = { ...example, id, extension };
        const encoded = Object.entries(attributes).map(([name, value]) => [
          `ce-${name}`,
          encodeURIComponent(String(value)),
        ]);
        await post("", "", Object.fromEntries(encoded));
        const [fromHeaders, fromJson, ...more] = await eventsOf(post(structured, attributes));
        expect(more).toEqual([]);
        expect(fromHeaders).toEqual(fromJson);
      }),
      { numRuns: 20 },
    );
  });
});

describe("an invalid CloudEvent", () => {
  test("is rejected with every mistake and its place", async () => {
    const sent = {
      specversion: "0.3",
      source: "a b",
      type: 7,
      time: "yesterday",
      data: 1,
      data_base64: "?",
      "Bad-Name": "x",
      ["__proto__"]: "x",
      fraction: 1.5,
      list: [],
    };
    const mistakes = await mistakesOf(post(structured, sent));
    expect(Object.fromEntries(mistakes.filter(([place]) => place !== "body.data_base64"))).toEqual({
      "body.specversion": 'specversion should be "1.0"',
      "body.id": "Field required",
      "body.source": "Input should be a URI reference, without spaces",
      "body.type": "Input should be a string",
      "body.time": expect.stringContaining("RFC 3339"),
      "body.Bad-Name": expect.stringContaining("lowercase letters and digits"),
      "body.__proto__": expect.stringContaining("lowercase letters and digits"),
      "body.fraction": expect.stringContaining("a string, a boolean or an integer"),
      "body.list": expect.stringContaining("a string, a boolean or an integer"),
    });
    expect(mistakes.filter(([place]) => place === "body.data_base64").map(([, message]) => message)).toEqual([
      expect.stringContaining("Send either data or data_base64, not both"),
      "Input should be base64",
    ]);
  });

  test("is rejected in binary mode for its headers", async () => {
    const headers = { "ce-id": "1", "ce-specversion": "1.0", "ce-a-b": "1", "ce-data": "1" };
    const mistakes = Object.fromEntries(await mistakesOf(post("text/plain", "a", headers)));
    expect(mistakes).toEqual({
      "header.ce-source": "Field required",
      "header.ce-type": "Field required",
      "header.ce-a-b": expect.stringContaining("lowercase letters and digits"),
      "header.ce-data": "In binary mode, send the data as the body",
    });
  });

  test.each([
    ["invalid JSON", structured, "{", 422],
    ["another format", "application/cloudevents+xml", "<event/>", 415],
    ["too many extensions", structured, JSON.stringify({ ...example, ...extensions(489) }), 422],
    ["a type that is too long", structured, JSON.stringify({ ...example, type: "a".repeat(1_025) }), 422],
    [
      "a body that is too large",
      structured,
      JSON.stringify({ ...example, data: "x".repeat(1_500_000) }),
      413,
    ],
  ])("is rejected for %s", async (_, type, body, status) => {
    expect((await post(type, body)).status).toBe(status);
    expect(await api.events()).toEqual([]);
  });

  test("never causes a server error", async () => {
    const names = fc.constantFrom(
      "id",
      "source",
      "type",
      "specversion",
      "time",
      "data",
      "x",
      "__proto__",
      "",
    );
    const anything = fc.oneof(fc.jsonValue(), fc.dictionary(names, fc.jsonValue()));
    await fc.assert(
      fc.asyncProperty(
        anything,
        fc.constantFrom(structured, batched, "application/json"),
        async (body, type) => {
          expect((await post(type, body)).status).toBeLessThan(500);
        },
      ),
      { numRuns: 100 },
    );
  });
});

function nested(depth: number): unknown {
  return depth === 0 ? null : [nested(depth - 1)];
}

function extensions(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, index) => [`x${index}`, "1"]));
}
