import { isDeepStrictEqual } from "node:util";
import { describe, expect, test } from "vitest";
import { batchLimits, parseJson } from "../../../src/api/http/body.ts";
import { scanEvent, scanEvents } from "../../../src/api/ingest/event-scanner.ts";
import { checkEvent } from "../../../src/api/ingest/ingest.ts";
import { EventSchema } from "../../../src/core/model/event.ts";
import type { EventLines } from "../../../src/store/event-lines.ts";
import { decodeJson, encodeJson } from "../../../src/store/json.ts";
import fc from "../../support/fast-check.ts";

const id = "7f1d2c9e-0b0a-4f5e-9a53-0e3b6c1a2d44";

/** The text of each field of an ordinary event. */
const ordinary = {
  occurred: '"2026-03-01T09:30:00.123456+00:00"',
  event: '"pump.stopped"',
  resource: '{"prefect.resource.id":"pump.1","zone":"north"}',
  related: '[{"prefect.resource.id":"greenhouse.1","prefect.resource.role":"greenhouse"}]',
  payload: '{"litres":3.50,"note":"grün 😀 \\"\\\\\\n","parts":[1,[],{}],"ok":true,"by":null}',
  id: `"${id}"`,
  follows: "null",
};
type Fields = Partial<Record<keyof typeof ordinary, string>>;

function eventText(fields: Fields = {}, separator = ","): string {
  const texts = Object.entries({ ...ordinary, ...fields }).map(([key, text]) => `"${key}":${text}`);
  return `{${texts.join(separator)}}`;
}

function without(...names: (keyof typeof ordinary)[]): string {
  const kept = Object.entries(ordinary).filter(([name]) => !names.includes(name as keyof typeof ordinary));
  return `{${kept.map(([key, text]) => `"${key}":${text}`).join(",")}}`;
}

const encode = (text: string): Uint8Array<ArrayBuffer> => new TextEncoder().encode(text);

function linesIn({ bytes, count }: EventLines): string[] {
  const lines = new TextDecoder("utf-8", { fatal: true }).decode(bytes).split("\n");
  expect(lines.pop()).toBe("");
  expect(lines).toHaveLength(count);
  return lines;
}

/** What the schema makes of a body: the events, or null if it refuses any of them. */
async function checkedEvents(bytes: Uint8Array): Promise<unknown[] | null> {
  const value = await parseJson(bytes, batchLimits).catch(() => null);
  if (!Array.isArray(value)) return null;
  const checked = value.map((item) => checkEvent(EventSchema, item, bytes.length, []));
  return checked.some((each) => !("event" in each))
    ? null
    : checked.map((each) => ("event" in each ? decodeJson(encodeJson(each.event)) : null));
}

/** @returns whether the scan was sure */
async function agrees(bytes: Uint8Array<ArrayBuffer>): Promise<boolean> {
  const lines = await scanEvents(bytes.slice());
  if (lines === null) return false;
  const checked = await checkedEvents(bytes);
  expect(checked).not.toBeNull();
  const read = linesIn(lines).map(decodeJson);
  // Other comparisons do not see a negative zero or a label called __proto__.
  if (!isDeepStrictEqual(read, checked)) expect(read).toStrictEqual(checked);
  return true;
}

describe("an event is surely valid", () => {
  test.each([
    ["as most programs send it", eventText()],
    ["with space between its parts", eventText({}, " ,\n\t").replaceAll('":', '" : ')],
    ["without the fields that have defaults", without("related", "payload", "follows")],
    ["without payload", without("payload")],
    ["with fields in another order", `{"id":"${id}","follows":"${id}",${without("id", "follows").slice(1)}`],
    ["of February 29", eventText({ occurred: '"2028-02-29T09:30:00Z"' })],
    ["with a label called __proto__", eventText({ resource: '{"prefect.resource.id":"a","__proto__":"b"}' })],
    ["with a number that no double holds", eventText({ payload: '{"a":9400053101578681001,"b":-0.5}' })],
  ])("%s", async (_name, text) => {
    expect(await agrees(encode(`[${text}]`))).toBe(true);
    expect(await agrees(encode(` [${text}, ${eventText()} ,${text}]\n`))).toBe(true);
    expect(await agrees(encode(`[${text} ,${text}]`))).toBe(true);
    const single = scanEvent(encode(text));
    expect(single === null ? [] : linesIn(single).map(decodeJson)).toEqual(
      await checkedEvents(encode(`[${text}]`)),
    );
  });

  test("and is stored as it came, without what separates its parts", async () => {
    const spaced = ordinary.payload.replaceAll(",", " , ").replaceAll('":', '": ');
    for (const [payload, stored] of [
      [ordinary.payload, ordinary.payload],
      [spaced, ordinary.payload],
    ] as const) {
      const lines = await scanEvents(encode(`[${eventText({ payload })}]`));
      expect(lines === null ? null : linesIn(lines)).toEqual([eventText({ payload: stored })]);
    }
  });
});

// Only what the schema says about them counts: a limit, a mistake, or a text that is stored in another form.
test.each([
  ["nothing", ""],
  ["no events", "[]"],
  ["an event that is not in a list", eventText()],
  ["a list that does not end", `[${eventText()}`],
  ["a comma at the end", `[${eventText()},]`],
  ["something after the list", `[${eventText()}]x`],
  ["a byte order mark", `\ufeff[${eventText()}]`],
  ["an unknown field", `[${eventText().slice(0, -1)},"color":"red"}]`],
  ["a field twice", `[${eventText().slice(0, -1)},"event":"pump.started"}]`],
  ["a label twice", `[${eventText({ resource: '{"prefect.resource.id":"a","b":"c","b":"d"}' })}]`],
  ["a key of the payload twice", `[${eventText({ payload: '{"a":{"b":1,"c":2,"b":3}}' })}]`],
  ["a key with an escape", `[${eventText({ payload: '{"\\n":1}' })}]`],
  ["an escape that JSON needs not", `[${eventText({ payload: '{"a":"\\u0041"}' })}]`],
  ["half of a surrogate pair", `[${eventText({ payload: '{"a":"\\ud83d"}' })}]`],
  ["a line break in a string", `[${eventText({ payload: '{"a":"\n"}' })}]`],
  ["a negative zero", `[${eventText({ payload: '{"a":-0.0}' })}]`],
  ["a missing id", `[${without("id")}]`],
  ["an id in capitals", `[${eventText({ id: `"${id.toUpperCase()}"` })}]`],
  ["an empty resource id", `[${eventText({ resource: '{"prefect.resource.id":""}' })}]`],
  ["a related resource without a role", `[${eventText({ related: '[{"prefect.resource.id":"a"}]' })}]`],
  ["February 30", `[${eventText({ occurred: '"2026-02-30T09:30:00Z"' })}]`],
  ["a label that is a number", `[${eventText({ resource: '{"prefect.resource.id":"a","b":1}' })}]`],
  ["a payload that is a list", `[${eventText({ payload: "[]" })}]`],
  ["a long name", `[${eventText({ event: `"${"x".repeat(1_025)}"` })}]`],
  ["a long label", `[${eventText({ resource: `{"prefect.resource.id":"${"x".repeat(32_769)}"}` })}]`],
  ["a long event", `[${eventText({ payload: `{"a":"${"x".repeat(100_000)}"}` })}]`],
  ["a deep payload", `[${eventText({ payload: `{"a":${"[".repeat(64)}${"]".repeat(64)}}` })}]`],
])("%s is left to the schema", async (_name, text) => {
  expect(await scanEvents(encode(text))).toBeNull();
});

test.each([
  "01",
  "-01",
  ".5",
  "1.",
  "1e",
  "1e+",
  "-",
  "+1",
  "0x1",
  "tru",
  "nulll",
  "'a'",
  "[1,]",
  "{,}",
  "[",
  "",
])("%s is no value", async (value) => {
  expect(await scanEvents(encode(`[${eventText({ payload: `{"a":${value}}` })}]`))).toBeNull();
});

test("bytes that are not UTF-8 are left to the check of the body", async () => {
  for (const bad of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0xaf]]) {
    const [before = "", after = ""] = eventText({ event: '"a|b"' }).split("|");
    const bytes = Uint8Array.from([...encode(`[${before}`), ...bad, ...encode(`${after}]`)]);
    expect(await scanEvents(bytes)).toBeNull();
  }
});

// Everything is drawn near the borders between what is sure, what is valid and what is not.
const anySpace = fc.constantFrom("", "", "", " ", "\n\t", "\r\n  ", "\u00a0", "\f");
const anyNumber = fc.oneof(
  fc.constantFrom(
    "0",
    "-0",
    "-0.0",
    "-0e3",
    "-0.5",
    "1.0",
    "12.50",
    "1e5",
    "1E+20",
    "01",
    "-",
    ".5",
    "1.",
    "1e",
  ),
  fc.constantFrom(
    "1e400",
    "-1e-400",
    "9400053101578681001",
    "0.30000000000000004",
    "-0.00",
    "+1",
    "NaN",
    "1e+",
  ),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
);
const anyString = fc.oneof(
  { weight: 3, arbitrary: fc.string({ unit: "binary", maxLength: 8 }).map((text) => JSON.stringify(text)) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['"\\u0041"', '"\\/"', '"\\ud83d"', '"\\ud83d\\ude00"', '"\\uD83D"', '"\\x"', '"a', '"\u0001"'],
      ...['"\\n\\t\\b\\f\\r"', '"\\\\"', '"\\"', '"\u007f\u0080\u2028"', '""', "'a'"],
    ),
  },
);
const anyKey = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom('"a"', '"b"', '"c"', '"__proto__"', '"1"', '"\\u0061"', '"\\n"') },
  { weight: 1, arbitrary: anyString },
);

function anyObject(key: fc.Arbitrary<string>, value: fc.Arbitrary<string>, maxLength = 4) {
  const member = fc.tuple(anySpace, key, anySpace, anySpace, value, anySpace);
  return fc.array(member, { maxLength }).map((members) => {
    const texts = members.map(([a, name, b, c, text, d]) => `${a}${name}${b}:${c}${text}${d}`);
    return `{${texts.join(",")}}`;
  });
}

const { value: anyValue } = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, depthIdentifier: "value" },
    anyNumber,
    anyString,
    fc.constantFrom("true", "false", "null", "nul", "True"),
    anyObject(anyKey, tie("value")),
    fc.array(tie("value"), { maxLength: 3 }).map((items) => `[${items.join(" ,")}]`),
  ),
}));
const anyPayload = fc.oneof(
  anyObject(anyKey, anyValue),
  fc.constantFrom(63, 64, 65, 99, 100, 101).map((depth) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`),
  fc
    .constantFrom(63, 64, 65)
    .map((count) => `{${Array.from({ length: count }, (_, index) => `"k${index}":${index}`).join(",")}}`),
  anyValue,
);
const anyLabels = fc
  .tuple(
    fc.subarray(['"prefect.resource.id":"pump.1"', '"prefect.resource.role":"pump"', '"zone":"north"'], {
      minLength: 2,
    }),
    fc.array(fc.tuple(anyKey, fc.oneof(anyString, anyValue)), { maxLength: 2 }),
    fc.constantFrom(0, 0, 0, 29, 30, 31, 497, 498, 499),
  )
  .map(([usual, others, count]) => {
    const many = Array.from({ length: count }, (_, index) => `"label ${index}":"${index}"`);
    return `{${[...usual, ...others.map(([key, text]) => `${key}:${text}`), ...many].join(",")}}`;
  });
const anyTime = fc.oneof(
  fc.constantFrom(
    ...['"2026-03-01T09:30:00Z"', '"2026-03-01 09:30"', '"2026-03-01"', '"2026-03-01T09:30:00"', '"now"'],
    ...[
      '"2026-02-29T09:30:00Z"',
      '"2028-02-29T09:30:00Z"',
      '"2026-03-01t09:30:00z"',
      '"0000-01-01T00:00:00Z"',
    ],
    ...['"2026-12-31T23:59:60Z"', '"2026-03-01T24:00:00Z"', '"2026-03-01T09:30:00.1234567890Z"', '""', "5"],
  ),
  fc
    .tuple(
      fc.constantFrom("1899", "1900", "2026", "2999", "3000", "20a6"),
      fc.constantFrom("00", "01", "12", "13", "1"),
      fc.constantFrom("00", "01", "28", "29", "30", "31", "32"),
      fc.constantFrom("00", "23", "24"),
      fc.constantFrom("00", "59", "60"),
      fc.constantFrom("", ".", ".1", ".123456", ".123456789", ".1234567891", ",5"),
      fc.constantFrom("Z", "", "+00:00", "-23:59", "+24:00", "+05:60", "+0530", "Zx", " Z"),
    )
    .map(([year, month, day, hour, minute, rest, offset]) =>
      JSON.stringify(`${year}-${month}-${day}T${hour}:${minute}:${minute}${rest}${offset}`),
    ),
);
const anyUuid = fc.constantFrom(
  ...[`"${id}"`, `"${id}"`, `"${id}"`, `"${id.toUpperCase()}"`, `"${id.replaceAll("-", "")}"`],
  ...[`"${id}0"`, `"${id.slice(1)}"`, `"${id.replace("7", "g")}"`, `"${id.replace("-", "0")}"`, "null", "1"],
);
const anyRelated = fc.oneof(
  fc.array(anyLabels, { maxLength: 2 }).map((items) => `[${items.join(",")}]`),
  fc
    .constantFrom(99, 100, 101)
    .map(
      (count) =>
        `[${Array.from({ length: count }, () => '{"prefect.resource.id":"a","prefect.resource.role":"b"}').join(",")}]`,
    ),
);
const anyName = fc.oneof(
  anyString,
  fc.constantFrom(1_023, 1_024, 1_025).map((length) => `"${"é".repeat(length)}"`),
  fc.constantFrom(1_023, 1_024, 1_025).map((length) => `"${"x".repeat(length)}"`),
);

/** One or two fields of an ordinary event are drawn, so that many of the others are still sure. */
const anyEvent = fc
  .tuple(
    fc.record(
      {
        occurred: anyTime,
        event: anyName,
        resource: anyLabels,
        related: anyRelated,
        payload: anyPayload,
        id: anyUuid,
        follows: anyUuid,
      },
      { requiredKeys: [] },
    ),
    fc.subarray(Object.keys(ordinary) as (keyof typeof ordinary)[], { maxLength: 2 }),
    fc.subarray(Object.keys(ordinary) as (keyof typeof ordinary)[], { minLength: 5 }),
    fc.constantFrom(null, null, null, '"color":"red"', `"id":"${id}"`, '"paylaod":{}'),
    anySpace,
  )
  .map(([drawn, changed, kept, other, space]) => {
    const texts = kept.map((name) => {
      const text = changed.includes(name) ? (drawn[name] ?? ordinary[name]) : ordinary[name];
      return `${space}"${name}"${space}:${space}${text}${space}`;
    });
    return `{${[...texts, ...(other === null ? [] : [other])].join(",")}}`;
  });

test("what is surely valid is valid, and is stored as the same event", async () => {
  let sureCount = 0;
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(anyEvent, { minLength: 1, maxLength: 2 }), anySpace, async (events, space) => {
      count += 1;
      if (await agrees(encode(`[${events.join(`${space},${space}`)}]`))) sureCount += 1;
    }),
    { numRuns: 3_000 },
  );
  expect(sureCount / count).toBeGreaterThan(0.05);
  expect(sureCount / count).toBeLessThan(0.95);
});

test("a body with a changed byte is at most as valid as it is", async () => {
  const bytes = encode(`[${eventText()},${eventText({}, ", ")}]`);
  const anyByte = fc.oneof(fc.nat(255), fc.constantFrom(...encode('{}[]",:\\ 0-.eE')));
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), anyByte, fc.boolean(), async (place, byte, cuts) => {
      const changed = Uint8Array.from(bytes);
      changed[place] = byte;
      await agrees(cuts ? Uint8Array.from([...bytes.slice(0, place), ...bytes.slice(place + 1)]) : changed);
    }),
    { numRuns: 3_000 },
  );
});
