/** Requests that anyone may send: nearly valid ones, invalid ones, and ones that are not meant for an HTTP API at all. */

import { deflateSync, gzipSync } from "node:zlib";
import { allOperations } from "../api/all-routes.ts";
import { pumpEvent } from "../prefect/contract-support.ts";
import fc from "../support/fast-check.ts";

export interface AnyRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

const id = "0190a000-0000-7000-8000-000000000001";
const trigger = {
  type: "event",
  expect: ["pump.*"],
  match: { a: ["b"] },
  for_each: ["a"],
  threshold: 2,
  within: 30,
};
// Paused, so that an automation that is accepted does nothing.
const automation = {
  name: "pumps",
  enabled: false,
  tags: ["a"],
  trigger: {
    type: "compound",
    require: 1,
    within: "PT90S",
    triggers: [trigger, { ...trigger, posture: "Proactive" }],
  },
  actions: [
    {
      type: "call-webhook",
      url: "http://127.0.0.1:1/",
      headers: { a: "b" },
      payload: { a: ["{{ event.id }}"] },
    },
    { type: "pause-automation", source: "selected", automation_id: id },
    { type: "emit-event", event: "a", resource: { "prefect.resource.id": "{{ event.resource.id }}" } },
  ],
};
const filter = {
  occurred: { since: "2026-11-01T00:00:00Z", until: "2026-12-01T00:00:00+01:00" },
  event: { prefix: ["pump."], exclude_name: ["pump.no"] },
  resource: { id_prefix: ["p"], labels: { a: ["!b", "c*"] }, distinct: true },
  related: [{ role: ["x"], resources_in_roles: [["a", "b"]] }],
  any_resource: { id: ["a"] },
  id: { id: [id] },
  text: { query: 'a -b +"c d" !e' },
  order: "ASC",
};
const destination = {
  name: "ops",
  type: "webhook",
  url: "http://127.0.0.1:1/",
  headers: { a: "b" },
  timeout: 5,
};
const { owner_resource: _, ...definition } = { owner_resource: null, ...automation };

/** Valid bodies for each path. */
const goodBodies: Readonly<Record<string, readonly unknown[]>> = {
  "/events": [
    [pumpEvent(), pumpEvent({ related: [{ "prefect.resource.id": "a", "prefect.resource.role": "b" }] })],
  ],
  "/events/filter": [{ filter, limit: 10 }],
  "/events/count-by/{countable}": [{ filter, time_unit: "hour", time_interval: 12.5 }],
  "/automations": [automation],
  "/automations/": [automation],
  "/automations/filter": [
    { sort: "NAME_ASC", limit: 5, offset: 1, automations: { name: { any_: ["a"] }, tags: { all_: ["b"] } } },
  ],
  "/automations/apply": [
    { automations: [{ definition, file: "a.yaml", secrets: { A: "b" } }], dry_run: true },
  ],
  "/automations/{id}": [automation, { enabled: false }],
  "/automations/{id}/explain": [{ event: pumpEvent() }, { event: id }],
  "/explain": [{ event: pumpEvent(), limit: 5 }, { event: id }],
  "/destinations": [
    destination,
    { name: "post", type: "email", to: ["a@b.c"], from: "d@e.f", host: "g", port: 25 },
  ],
  "/destinations/{id}": [destination],
  "/cloudevents": [
    { specversion: "1.0", id: "a", source: "/b", type: "c.d", time: "2026-11-01T00:00:00Z", data: {} },
  ],
};

/** Values that confuse programs: edge cases of numbers, strings and structure; and words with a meaning in some language. */
const oddValues: readonly unknown[] = [
  ...[null, true, 0, -1, 1.5, -0, 1e308, -1e308, 2 ** 53, 2 ** 63, 1e-300],
  ...[
    "",
    " ",
    "\0",
    "\ud800",
    "ü".repeat(2_000),
    "__proto__",
    "constructor",
    "*",
    "!",
    "{{",
    "{% for %}",
    "${env.PATH}",
  ],
  ...["9999-12-31T23:59:59.999999Z", "0001-01-01T00:00:00+14:00", "P1Y", "1e9d", "nil", "../../etc/passwd"],
  ...[[], {}, [[]], [null], { "": "" }, JSON.parse('{"__proto__": {"a": 1}}')],
  nested(200),
  Array.from({ length: 2_000 }, () => null),
];

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < levels; level += 1) value = level % 2 === 0 ? [value] : { a: value };
  return value;
}

const anyOddValue = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...oddValues) },
  { weight: 1, arbitrary: fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<unknown> },
);

/** The same value with one part replaced, removed or added. */
function changed(value: unknown, odd: unknown, choice: number): unknown {
  if (typeof value !== "object" || value === null || choice % 7 === 0) return odd;
  const keys = Object.keys(value);
  const key = keys[choice % (keys.length + 1)];
  const deeper = Math.floor(choice / (keys.length + 1));
  if (Array.isArray(value)) {
    if (key === undefined) return [...value, odd];
    return value.map((item, index) => (String(index) === key ? changed(item, odd, deeper) : item));
  }
  if (key === undefined) return { ...value, [typeof odd === "string" ? odd : "extra"]: odd };
  const { [key]: part, ...rest } = value as Record<string, unknown>;
  return deeper % 5 === 4 ? rest : { ...rest, [key]: changed(part, odd, deeper) };
}

/** Invalid JSON, and JSON that no program writes. */
const oddTexts: readonly string[] = [
  ...[
    "",
    " ",
    "{",
    "]",
    "nul",
    "NaN",
    "1e999",
    "-1e999",
    '"',
    '"\\ud800"',
    '"\\u0000"',
    "\ufeff{}",
    '{"a":1,"a":2}',
  ],
  ...[
    '{"__proto__":null}',
    `${"[".repeat(50_000)}${"]".repeat(50_000)}`,
    "[".repeat(100_000),
    "9".repeat(10_000),
  ],
];

const bodyFor = (path: string): fc.Arbitrary<Buffer> => {
  const good = fc.constantFrom(...(goodBodies[path] ?? [{}]));
  const oneWrong = fc
    .tuple(good, anyOddValue, fc.nat(100_000))
    .map(([body, odd, choice]) => changed(body, odd, choice));
  const twoWrong = fc
    .tuple(oneWrong, anyOddValue, fc.nat(100_000))
    .map(([body, odd, choice]) => changed(body, odd, choice));
  const asJson = (value: unknown) => Buffer.from(JSON.stringify(value) ?? "");
  return fc.oneof(
    { weight: 6, arbitrary: oneWrong.map(asJson) },
    { weight: 3, arbitrary: twoWrong.map(asJson) },
    { weight: 1, arbitrary: good.map(asJson) },
    { weight: 1, arbitrary: anyOddValue.map(asJson) },
    { weight: 2, arbitrary: fc.constantFrom(...oddTexts).map((text) => Buffer.from(text)) },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)) },
    // Cut off anywhere, even within a character.
    {
      weight: 1,
      arbitrary: fc.tuple(oneWrong, fc.nat(500)).map(([value, length]) => asJson(value).subarray(0, length)),
    },
  );
};

const oddHeaders: readonly Readonly<Record<string, string>>[] = [
  ...[
    "text/plain",
    "application/xml",
    "application/json; charset=utf-16",
    "a".repeat(5_000),
    ";",
    "multipart/form-data",
  ].map((type) => ({ "Content-Type": type })),
  ...["gzip", "deflate", "br", "gzip, gzip", "identity", "\u00ff"].map((encoding) => ({
    "Content-Encoding": encoding,
  })),
  ...["0.8.4", "0.1.0", "x", "1e9.0.0", "9".repeat(400)].map((version) => ({
    "X-PREFECT-API-VERSION": version,
  })),
  ...["Bearer x", "Basic !", "Basic ", "Basic /////w==", "Bearer ".padEnd(9_000, "x")].map((text) => ({
    Authorization: text,
  })),
  ...["http://elsewhere.example", "null", "\u00ff"].map((origin) => ({ Origin: origin })),
  ...["elsewhere.example", "", "[::1", "127.0.0.1:99999"].map((host) => ({ Host: host })),
  ...["application/xml", "*/*;q=0"].map((type) => ({ Accept: type })),
  ...["websocket", "h2c"].map((protocol) => ({ Connection: "Upgrade", Upgrade: protocol })),
  ...["ce-id", "ce-type", "ce-specversion"].map((name) => ({ [name]: "%ff\u00ff" })),
  { "X-Forwarded-Host": "\u00e9vil", "X-Forwarded-Proto": "javascript" },
];

const anyParameter = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(id, id.toUpperCase(), "day", "time", "event", "default", "pumps") },
  {
    weight: 2,
    arbitrary: fc.constantFrom(
      ...[
        "%00",
        "%ff",
        "%",
        "%2e%2e%2f",
        "..",
        "*",
        "{id}",
        "a%2Fb",
        "%F0%9F%A6%94",
        "__proto__",
        "x".repeat(3_000),
      ],
    ),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 20 }).map(encodeOddly) },
);

const anyQuery = fc.oneof(
  { weight: 4, arbitrary: fc.constant("") },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...[
        "?",
        "?page-token=",
        "?page-token=AAAA",
        `?page-token=${"A".repeat(9_000)}`,
        "?page-token=%ff&page-token=x",
      ],
      ...["?limit=-1", "?limit=1e9&offset=x", "?a[]=1&a[b]=2", "?%", "?client=x", `?${"a&".repeat(2_000)}`],
    ),
  },
);

function encodeOddly(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

const bases = [
  "/api",
  "/api",
  "/api",
  "/api/accounts/a/workspaces/default",
  "/api/accounts/%ff/workspaces/no",
  "",
  "//api",
];

/** Valid requests for each operation whose body is known. They reach the handlers, whatever else is drawn. */
export const validRequests: readonly AnyRequest[] = allOperations.flatMap(({ method, path }) =>
  (method === "get" ? [] : (goodBodies[path] ?? [])).map((body) => ({
    method: method.toUpperCase(),
    path: `/api${path.replaceAll(/\{\w+\}/g, (name) => (name === "{countable}" ? "day" : id))}`,
    headers: { "Content-Type": "application/json" },
    body: Buffer.from(JSON.stringify(body)),
  })),
);

/** A request to any route, mostly with its own method. */
export const anyRequest: fc.Arbitrary<AnyRequest> = fc
  .constantFrom(...allOperations)
  .chain(({ method, path }) =>
    fc
      .record({
        method: fc.oneof(
          { weight: 9, arbitrary: fc.constant(method.toUpperCase()) },
          {
            weight: 1,
            arbitrary: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PROPFIND"),
          },
        ),
        base: fc.constantFrom(...bases),
        parameters: fc.array(anyParameter, { minLength: 2, maxLength: 2 }),
        query: anyQuery,
        body: fc.option(bodyFor(path), { freq: 6 }),
        compressed: fc.constantFrom(null, null, null, null, "gzip", "deflate"),
        headers: fc.oneof(
          { weight: 4, arbitrary: fc.constant({}) },
          { weight: 2, arbitrary: fc.constantFrom(...oddHeaders) },
        ),
      })
      .map(({ method, base, parameters, query, body, compressed, headers }) => {
        let next = 0;
        const filled = path.replaceAll(/\{\w+\}/g, () => {
          next += 1;
          return parameters[next - 1] ?? "";
        });
        const type = body === null ? {} : { "Content-Type": "application/json" };
        const encoding = body === null || compressed === null ? {} : { "Content-Encoding": compressed };
        const packed =
          body === null || compressed === null
            ? body
            : (compressed === "gzip" ? gzipSync : deflateSync)(body);
        return {
          method,
          path: `${base}${filled}${query}`,
          headers: { ...type, ...encoding, ...headers },
          body: packed,
        };
      }),
  );
