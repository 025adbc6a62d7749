import { expect, test } from "vitest";
import { readableStart } from "../../../src/api/http/json-start.ts";

const event = {
  event: "pump.stopped",
  resource: { "prefect.resource.id": "pump.7", note: '},{"\\' },
  id: "17",
};
const whole = JSON.stringify(event);
const inner = whole.slice(1, -1);

test.each([
  ["a whole object", whole],
  ["one that is cut in a text", `{${inner},"payload":{"text":"xxxxx`],
  ["one that is cut in the middle of an escape", `{${inner},"text":"\\`],
  ["one that goes on too long", `{${inner},"text":"${"x".repeat(1_000_000)}"}`],
  ["one that nests too deep", `{${inner},"payload":${"[".repeat(100_000)}`],
  ["one with a field without a value", `{${inner},"more":}`],
  ["one with a broken field in front", `{"more":nope,${inner}}`],
  ["one with white space", ` \n{ ${inner.replaceAll(",", ", ")} }`],
])("%s: what can be read is read", (_what, text) => {
  expect(readableStart(text)).toMatchObject({ event: "pump.stopped", id: "17" });
  expect(readableStart(text)["resource"]).toHaveProperty(["prefect.resource.id"], "pump.7");
});

test.each(["", "[]", "null", `[${whole}]`, `x${whole}`, '"text"', "{", "{}", "}{", '{"a"', "{,,,}"])(
  "nothing is read of %j",
  (text) => {
    expect(readableStart(text)).toEqual({});
  },
);

test("a field called __proto__ is a field", () => {
  expect(Object.keys(readableStart('{"__proto__": 1, "event": "e", "b": [}'))).toEqual([
    "__proto__",
    "event",
  ]);
});
