import { describe, expect, test } from "vitest";
import { formatTime } from "../../src/core/model/time.ts";
import { EventFilterSchema } from "../../src/history/filter.ts";
import { matchesFilter } from "../../src/history/matches.ts";
import { parseTextQuery } from "../../src/history/text-query.ts";
import { event, filter, noon } from "./greenhouse.ts";

describe("a filter from a client", () => {
  test.each([
    [{ ocurred: {} }, "unrecognized_keys", []],
    [{ occurred: { from: "2026-03-01T00:00:00Z" } }, "unrecognized_keys", ["occurred"]],
    [{ event: { names: [] } }, "unrecognized_keys", ["event"]],
    [{ resource: { role: [] } }, "unrecognized_keys", ["resource"]],
    [{ related: { id_prefix: [] } }, "unrecognized_keys", ["related"]],
    [{ related: [{}, { distinct: true }] }, "unrecognized_keys", ["related", 1]],
    [{ any_resource: [{ role: ["zone"] }] }, "unrecognized_keys", ["any_resource", 0]],
    [{ text: { q: "x" } }, "unrecognized_keys", ["text"]],
    [{ id: { ids: [] } }, "unrecognized_keys", ["id"]],
    [{ id: { id: ["pump.1"] } }, "invalid_format", ["id", "id", 0]],
    [{ event: { name: "pump.started" } }, "invalid_type", ["event", "name"]],
    [{ occurred: { since: "yesterday" } }, "custom", ["occurred", "since"]],
    [{ occurred: { until: 5 } }, "invalid_type", ["occurred", "until"]],
    [{ resource: { labels: { zone: [1] } } }, "custom", ["resource", "labels", "zone", 0]],
    [{ any_resource: { labels: { zone: null } } }, "custom", ["any_resource", "labels", "zone"]],
    [{ related: { resources_in_roles: [["vent.1"]] } }, "too_small", ["related", "resources_in_roles", 0]],
    [{ related: "vent.1" }, "invalid_type", ["related"]],
    [{ resource: { distinct: "yes" } }, "invalid_type", ["resource", "distinct"]],
    [{ order: "asc" }, "invalid_value", ["order"]],
    [{ text: { query: "🌱".repeat(201) } }, "custom", ["text", "query"]],
  ])("%j is rejected with the place of the mistake", (written, code, path) => {
    const { error } = EventFilterSchema.safeParse(written);
    expect(error?.issues).toHaveLength(1);
    expect(error?.issues[0]).toMatchObject({ code, path });
  });

  test("reports all mistakes at once", () => {
    const { error } = EventFilterSchema.safeParse({ order: 1, related: [{ id: 1, role: 1 }], oops: 1 });
    expect(error?.issues.map(({ path }) => path.join("."))).toEqual([
      "related.0.id",
      "related.0.role",
      "order",
      "",
    ]);
  });

  test("may have a text query of 200 characters, however many code units that is", () => {
    expect(EventFilterSchema.safeParse({ text: { query: "🌱".repeat(200) } }).success).toBe(true);
  });

  // Prefect's client sends null for every part that is not set.
  test("means the same with nulls and empty lists as without them", () => {
    const nulls = {
      occurred: { since: null, until: null },
      event: { prefix: null, exclude_prefix: [], name: null, exclude_name: [] },
      resource: { id: [], id_prefix: null, labels: null, distinct: null },
      related: [{ id: null, role: [], resources_in_roles: null, labels: {} }],
      any_resource: { id: null, id_prefix: [], labels: null },
      id: { id: [] },
      text: { query: null },
      order: null,
    };
    const absent = Object.fromEntries(Object.keys(nulls).map((part) => [part, null]));
    expect(filter(nulls)).toEqual(filter({}));
    expect(filter(absent)).toEqual(filter({}));
  });

  test("covers the time from the start of the day 180 days ago until the request, unless it says otherwise", () => {
    const { since, until } = filter({}, noon + 123_456);
    expect([since, until].map(formatTime)).toEqual(["2025-09-02T00:00:00Z", "2026-03-01T12:00:00.123456Z"]);
  });

  test("is unchanged by JSON, as in a page token", () => {
    const { resource, ...rest } = filter({ resource: { labels: { zone: [] } }, text: { query: '+"a b"' } });
    expect(JSON.parse(JSON.stringify({ resource, ...rest }))).toEqual({ resource, ...rest });
  });
});

describe("the text query", () => {
  test.each([
    ["pump vent", { any: ["pump", "vent"] }],
    ["-pump !vent +Zone", { none: ["pump", "vent"], all: ["zone"] }],
    ['"two words" -"x y" +"to the end', { any: ["two words"], none: ["x y"], all: ["to the end"] }],
    ["- pump", { any: ["pump"] }],
    ["+ -", {}],
    ["  ", {}],
    ['"" -""', {}],
    ['"say \\"hi\\" \\\\ \\n"', { any: ['say "hi" \\ \\n'] }],
    ['"C:\\Temp\\"', { any: ["c:\\temp\\"] }], // only an escaped quote could close it
    ['-"x\\"', { none: ["x\\"] }],
    ["C:\\Temp\\", { any: ["c:\\temp\\"] }],
    ['"two\nlines"', { any: ["two\nlines"] }],
    ["--x", { none: ["-x"] }],
    ['half"word" x', { any: ['half"word"', "x"] }],
    ["well-known", { any: ["well-known"] }],
  ])("%s is split into %j", (query, terms) => {
    expect(parseTextQuery(query)).toEqual({ any: [], all: [], none: [], ...terms });
  });
});

// The cases of the specification, by hand. agreement.test.ts tests that SQL gives the same answers.
describe("an event", () => {
  const zone = (id: string, labels: Record<string, string> = {}) => ({
    "prefect.resource.id": id,
    "prefect.resource.role": "zone",
    ...labels,
  });
  const pump = event({
    occurred: "2026-03-01T11:00:00.000001Z",
    event: "pump.started",
    resource: { "prefect.resource.id": "pump.1", hello: "world", empty: "" },
    related: [
      zone("zone.north", { light: "sun" }),
      { ...zone("zone.south"), "prefect.resource.role": "neighbor" },
    ],
    payload: { note: "Drip 50%", nested: { depth: 3 } },
  });

  test.each([
    [{ occurred: { since: "2026-03-01T11:00:00.000001Z", until: "2026-03-01T12:00:00.000001+01:00" } }, true],
    [{ occurred: { since: "2026-03-01T11:00:00.000002Z" } }, false],
    [{ occurred: { until: "2026-03-01T11:00:00Z" } }, false],
    [{ event: { prefix: ["pump."], name: ["pump.started", "x"] } }, true],
    [{ event: { prefix: ["vent."], name: ["pump.started"] } }, false],
    [{ event: { prefix: ["pump*"] } }, false], // prefixes have no wildcards
    [{ event: { exclude_prefix: ["pump."] } }, false],
    [{ event: { exclude_name: ["pump.stopped"] } }, true],
    [{ resource: { id: ["pump.1"], id_prefix: ["vent"] } }, false],
    [{ resource: { labels: { hello: ["!world"] } } }, false],
    [{ resource: { labels: { hello: "!w?rl" } } }, true],
    [{ resource: { labels: { goodbye: ["!world"] } } }, false], // the label must be present
    [{ resource: { labels: { hello: [] } } }, false],
    [{ resource: { labels: {} } }, true],
    [{ resource: { labels: { "prefect.resource.id": "pump.*" } } }, true],
    [{ resource: { labels: { empty: "*" } } }, true],
    [{ related: { id: ["pump.1"] } }, false], // related never means the primary resource
    [{ related: { id: ["zone.south"], role: ["zone"] } }, false], // one resource must meet both criteria
    [{ related: [{ id: ["zone.south"] }, { role: ["zone"] }] }, true],
    [{ related: { resources_in_roles: [["zone.south", "neighbor"]] } }, true],
    [{ related: { resources_in_roles: [["zone.south", "zone"]] } }, false],
    [{ related: [{}] }, true],
    [{ any_resource: { id: ["pump.1"] } }, true],
    [{ any_resource: { id_prefix: ["zone."], labels: { light: "s*" } } }, true],
    [{ any_resource: { id: ["pump.1"], labels: { light: "s*" } } }, false],
    [{ any_resource: [{ id: ["pump.1"] }, { labels: { light: "s*" } }] }, true],
    [{ id: { id: [pump.id.toUpperCase()] } }, true],
    [{ text: { query: "WORLD" } }, true],
    [{ text: { query: "hello" } }, false], // label names are not searched
    [{ text: { query: "drip -50%" } }, false],
    [{ text: { query: '+"drip 50%" absent' } }, false],
    [{ text: { query: '+"drip 50%" absent zone.s' } }, true],
    [{ text: { query: '"\\"depth\\":3"' } }, true],
    [{ resource: { distinct: true }, order: "ASC" }, true],
  ])("matches the filter %j: %s", (written, matches) => {
    expect(matchesFilter(filter(written), pump)).toBe(matches);
  });

  // In JSON, these are written with a backslash, so a search for the text itself found nothing.
  test.each([
    ["C:\\logs\\pump.txt", true],
    ['"C:\\logs\\"', true],
    ['"\\\\logs"', true],
    ['"said \\"stop\\" twice"', true],
    ['"first line\nsecond line"', true],
    ['"second line\tend"', true],
    ['"first line\\nsecond"', true], // as JSON writes it
    ['"key \\"quoted\\""', true],
    ['"pump.txt said"', false], // no phrase matches across two texts
  ])("with backslashes, quotes and line breaks in its payload is searched for %j: %s", (query, matches) => {
    const payload = {
      path: "C:\\logs\\pump.txt",
      nested: [{ 'key "quoted"': 'said "stop" twice' }, "first line\nsecond line\tend"],
    };
    const noted = event({ ...pump.wire, payload });
    expect(matchesFilter(filter({ text: { query } }), noted)).toBe(matches);
  });

  test("with a time in the future is found only with an explicit until", () => {
    const early = event({ occurred: "2026-03-01T12:00:01Z" }, noon);
    expect(matchesFilter(filter({}, noon), early)).toBe(false);
    expect(matchesFilter(filter({ occurred: { until: "2026-03-02T00:00:00Z" } }, noon), early)).toBe(true);
  });
});
