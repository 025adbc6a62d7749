/** How tables, times and colors look in a terminal and in a pipe. */

import { spawnSync } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { afterAll, describe, expect, test } from "vitest";
import { type TableColumn, table } from "../../src/cli/output/table.ts";
import { cutToWidth, keyText, shortId, widthOf } from "../../src/cli/output/text.ts";
import { timeAndDistance, timeText } from "../../src/cli/output/times.ts";
import { type View, viewOf } from "../../src/cli/output/view.ts";
import { windowsText } from "../../src/cli/windows.ts";
import { parseTime } from "../../src/core/model/time.ts";
import { Sandbox } from "./support.ts";

const sandbox = new Sandbox();
afterAll(() => sandbox.close());

const now = parseTime("2026-03-01T12:00:00Z") ?? 0;
const terminal = (width: number): View => ({ width, brief: true, utc: true, colored: false, now });
const pipe: View = { width: null, brief: false, utc: true, colored: false, now };

interface Pump {
  readonly name: string;
  readonly place: string;
  readonly state: string;
}

const columns: TableColumn<Pump>[] = [
  { heading: "NAME", cell: ({ name }) => name, widthMin: 8 },
  { heading: "PLACE", cell: ({ place }) => place, widthMin: 8, style: () => "dim" },
  { heading: "STATE", cell: ({ state }) => state },
];

const pumps: Pump[] = [
  { name: "the pump behind the second greenhouse", place: "北の温室 🌱 north", state: "running" },
  { name: "pump 2", place: "👩‍👩‍👧‍👦 family garden", state: "stopped" },
  { name: "é\u0301".repeat(30), place: "x\u001b[2Jy", state: "running" },
];

describe("a table", () => {
  test.each([200, 80, 40, 24])("fits a terminal of %i columns, with all columns aligned", (width) => {
    const lines = table(columns, pumps, terminal(width)).split("\n");
    for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(width);
    // The last column begins at the same place in each line, however wide the characters before it are.
    const starts = lines.map((line) => widthOf(line.replace(/\S+$/, "")));
    expect(new Set(starts).size).toBe(1);
  });

  test("cuts the long columns first, and marks each cut", () => {
    const [, first = "", second = ""] = table(columns, pumps, terminal(50)).split("\n");
    expect(first).toMatch(/^the pump .*… .* running$/);
    expect(second).toMatch(/^pump 2 /);
  });

  test("is not cut in a pipe", () => {
    expect(table(columns, pumps, pipe)).toContain("the pump behind the second greenhouse");
  });

  test("escapes control characters", () => {
    expect(table(columns, pumps, pipe)).toContain("x\\u001b[2Jy");
  });

  test("has colors only where they are wanted, and stays aligned", () => {
    const plain = table(columns, pumps, terminal(60));
    const colored = table(columns, pumps, { ...terminal(60), colored: true });
    expect(colored).not.toBe(plain);
    expect(stripVTControlCharacters(colored)).toBe(plain);
  });
});

test("a cut never splits a visible character", () => {
  expect(cutToWidth("👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", 5)).toBe("👩‍👩‍👧‍👦👩‍👩‍👧‍👦…");
  expect(cutToWidth("温室", 3)).toBe("温…");
  expect(cutToWidth("温室", 4)).toBe("温室");
});

test("a short id is long enough to distinguish ids, even those that begin with a time", () => {
  expect(shortId("9f5d8514-fd12-4df9-9b35-e2d30afb8e8e")).toBe("9f5d8514");
  expect(shortId("0190a000-0000-7abc-8000-000000000001")).toBe("0190a000-0000-7abc");
  expect(shortId("b")).toBe("b");
});

test("a key that is only a resource id is written as that id", () => {
  expect(keyText({ "prefect.resource.id": "pump.1" })).toBe("pump.1");
  expect(keyText({ room: "4", floor: "2" })).toBe("room=4 floor=2");
});

describe("a time", () => {
  test("is short on a terminal and exact elsewhere", () => {
    expect(timeText("2026-03-01T11:59:30.125Z", terminal(80))).toBe("11:59:30Z");
    expect(timeText("2026-02-28T11:59:30Z", terminal(80))).toBe("2026-02-28 11:59:30Z");
    expect(timeText("2026-03-01T11:59:30.125001Z", pipe)).toBe("2026-03-01T11:59:30.125001Z");
    expect(timeText(null, pipe)).toBe("-");
  });

  test.each([
    ["2026-03-01T12:00:12Z", "in 12s"],
    ["2026-03-01T12:01:30Z", "in 90s"],
    ["2026-03-01T11:45:00Z", "15m ago"],
    ["2026-02-26T12:00:00Z", "3d ago"],
    ["2026-03-01T12:00:00Z", "now"],
  ])("%s is %s", (time, distance) => {
    expect(timeAndDistance(time, terminal(80))).toContain(`(${distance})`);
    expect(timeAndDistance(time, pipe)).not.toContain("(");
  });

  test("is local unless UTC is requested, in winter and in summer", () => {
    const program =
      'import { timeText } from "./src/cli/output/times.ts"; for (const month of ["01", "07"]) ' +
      "console.log(timeText(`2026-${month}-01T12:00:00Z`, { width: null, brief: false, utc: false, colored: false, now: 0 }));";
    const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program], {
      encoding: "utf8",
      env: { ...process.env, TZ: "Europe/Berlin" },
    });
    expect(stdout).toBe("2026-01-01T13:00:00+01:00\n2026-07-01T14:00:00+02:00\n");
  });
});

test("the width comes from COLUMNS, or else from the terminal; a pipe has none", () => {
  const options = {};
  expect(viewOf(options, false, { isTTY: true, columns: 120 }, {}).width).toBe(120);
  expect(viewOf(options, false, { isTTY: true, columns: 120 }, { COLUMNS: "90" }).width).toBe(90);
  expect(viewOf(options, false, { isTTY: true }, {}).width).toBe(80);
  expect(viewOf({ wide: true }, false, { isTTY: true, columns: 120 }, {}).width).toBeNull();
  expect(viewOf(options, false, {}, { COLUMNS: "90" }).width).toBeNull();
});

test("a pipe gets colors only if they are forced", async () => {
  const help = async (env: Record<string, string>) =>
    (await sandbox.output(["emit", "--help"], { NO_COLOR: "", ...env })).stdout;
  expect(await help({})).not.toContain("\u001b[");
  expect(await help({ FORCE_COLOR: "1" })).toContain("\u001b[1m");
});

// A rule may have a million windows, and an answer at most ten thousand of them.
test("the windows that are not listed are counted", () => {
  const automation = { id: "00000000-0000-4000-8000-000000000001", name: "silence", enabled: true };
  const window = {
    ...{ trigger: "", labels: { "prefect.resource.id": "pump.1" }, start: null, end: null, deadline: null },
    ...{
      count: 0,
      threshold: 1,
      unresolved: false,
      quiet_until: null,
      settling: 0,
      awaited: [],
      last_event: null,
      gaps: [],
      unreachable_since: null,
    },
  };
  const answer = { automation, as_of: null, count: 4, windows: [window] };
  expect(windowsText([answer], pipe)).toContain("\n3 more windows, judged later; for more, use --limit");
  expect(windowsText([{ ...answer, count: 1 }], pipe)).not.toContain("more");
});
