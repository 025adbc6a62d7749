import { spawnSync } from "node:child_process";
import { stripVTControlCharacters } from "node:util";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createLogger } from "../../src/cli/logger.ts";
import { RedisUnreachable } from "../../src/store/connection.ts";

afterEach(() => vi.restoreAllMocks());

/** What a person sees of the log, without colors and times. */
async function linesOf(log: (logger: ReturnType<typeof createLogger>) => void): Promise<string[]> {
  const printed = vi.spyOn(process.stdout, "write").mockReturnValue(true);
  log(createLogger("info", "text"));
  await vi.waitFor(() => expect(printed).toHaveBeenCalled());
  const text = stripVTControlCharacters(printed.mock.calls.join(""));
  return text
    .trimEnd()
    .split("\n")
    .map((line) => line.replace(/^\d\d:\d\d:\d\d/, "").trim());
}

describe("the text log", () => {
  test("prints each mistake in the rules on its own line, as tripline check does", async () => {
    const mistakes = [
      "rules/pumps.yaml:3:3: unknown key `expects`",
      'rules/pumps.yaml:4:11: "soon" is not a duration',
    ];
    const lines = await linesOf((logger) =>
      logger.error({ mistakes, file: "pumps" }, "The rules have mistakes"),
    );
    expect(lines).toEqual(["error  The rules have mistakes  file=pumps", ...mistakes]);
  });

  test("shortens a long list of names", async () => {
    const created = Array.from({ length: 1_000 }, (_, index) => `rule-${index}`);
    const lines = await linesOf((logger) => logger.info({ created, deleted: ["pumps"] }, "Rules applied"));
    expect(lines).toEqual([
      'Rules applied  created=["rule-0","rule-1","rule-2","rule-3","rule-4","rule-5","rule-6","rule-7","rule-8","rule-9"] and 990 more deleted=["pumps"]',
    ]);
  });

  // Otherwise a receiver could forge a line, or clear the terminal, with its answer.
  test("prints what others sent without control characters", async () => {
    const evil = "400\n12:00:00  all is well \u001b[31m\u202e";
    const shown = "400\\u000a12:00:00  all is well \\u001b[31m\\u202e";
    const lines = await linesOf((logger) =>
      logger.warn({ reason: evil, mistakes: [evil], err: new Error(evil) }, `failed: ${evil}`),
    );
    expect(lines).toEqual([`warn   failed: ${shown}  reason=${shown}  ${shown}`, shown]);
  });

  test("says in plain words that Redis is unavailable", async () => {
    const cause = new Error("Reached the max retries per request limit (which is 0).");
    cause.name = "MaxRetriesPerRequestError";
    const lines = await linesOf((logger) =>
      logger.warn({ err: new RedisUnreachable(cause) }, "Trying again"),
    );
    expect(lines).toEqual(["warn   Trying again  Redis is unavailable: not connected"]);
  });
});

describe("the JSON log", () => {
  const logged = (level: string, statement: string): Record<string, unknown>[] => {
    const program = `import { createLogger } from "./src/cli/logger.ts"; const logger = createLogger("${level}", "json"); ${statement}`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program], {
      encoding: "utf8",
    });
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  test("writes the names of levels, and times as ISO 8601", () => {
    const lines = logged(
      "debug",
      'for (const level of ["trace", "debug", "info", "warn", "error"]) logger[level]({ pump: 1 }, "Pump stopped")',
    );
    expect(lines.map(({ level }) => level)).toEqual(["debug", "info", "warn", "error"]);
    for (const { time, msg, pump } of lines) {
      expect({ msg, pump }).toEqual({ msg: "Pump stopped", pump: 1 });
      expect(new Date(String(time)).toISOString()).toBe(time);
    }
  });
});

describe("no log line shows a secret", () => {
  const fields = {
    secret: "hush-1",
    secrets: { TOKEN: "hush-2" },
    authorization: "Bearer hush-3",
    token: "hush-4",
    password: "hush-5",
    headers: { authorization: "Bearer hush-6", Authorization: "Bearer hush-7", accept: "*/*" },
    destination: { definition: { password: "hush-8", secret: "hush-9" } },
    request: { options: { headers: { authorization: "hush-10" } } },
  };

  test.each(["json", "text"] as const)("in %s format", (format) => {
    const program = `import { createLogger } from "./src/cli/logger.ts";
      const logger = createLogger("info", "${format}");
      logger.info(${JSON.stringify(fields)}, "Logged");
      logger.child({ token: "hush-11" }).error({ err: Object.assign(new Error("broken"), { password: "hush-12" }) }, "Logged");`;
    const { stdout } = spawnSync(process.execPath, ["--input-type=module-typescript", "-e", program], {
      encoding: "utf8",
    });
    expect(stdout).toContain("********");
    expect(stdout).toContain("*/*");
    expect(stdout.match(/hush-\d+/g) ?? []).toEqual([]);
  });
});
