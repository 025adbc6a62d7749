import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { addSettings, redisUrlIn, type Settings, settingsOptions } from "../../src/cli/settings.ts";
import { root } from "./support.ts";

function parse(...words: string[]): Settings {
  const command = addSettings(new Command())
    .exitOverride()
    .configureOutput({ writeErr: () => {} });
  return command.parse(words, { from: "user" }).opts<Settings>();
}

describe("the settings of a server", () => {
  test("have safe defaults: listen only on this machine, and call only public addresses", () => {
    expect(parse()).toMatchObject({
      host: "127.0.0.1",
      port: 4200,
      roles: ["api", "engine", "actions", "recorder"],
      rules: [],
      workspace: ["default"],
      lateness: 5_000_000,
      shards: 1,
      allowPrivateAddresses: [],
      logFormat: "json",
    });
  });

  test("treat an empty REDIS_URL as unset", () => {
    expect(redisUrlIn({ REDIS_URL: "" })).toBeUndefined();
    expect(redisUrlIn({ REDIS_URL: "redis://greenhouse" })).toBe("redis://greenhouse");
  });

  test("accept the units that people write", () => {
    expect(parse("--lateness", "1m30s", "--lease", "PT2S", "--retry", "250ms")).toMatchObject({
      lateness: 90_000_000,
      lease: 2_000_000,
      retry: 250_000,
    });
    expect(parse("--rules", "a, b/c.yaml,", "--roles", "actions,api")).toMatchObject({
      rules: ["a", "b/c.yaml"],
      roles: ["api", "actions"],
    });
    expect(parse("--workspace", "north,south", "--workspace", "east,north").workspace).toEqual([
      "north",
      "south",
      "east",
    ]);
    expect(parse("--history-max-age", "1d", "--history-max-size", "1.5 gb", "--trust-proxy")).toMatchObject({
      historyMaxAge: 86_400_000_000,
      historyMaxSize: 1_500_000_000,
      trustProxy: true,
    });
    expect(
      parse("--history-max-age", "unlimited", "--history-max-size", "unlimited", "--history-url", "off"),
    ).toMatchObject({
      historyMaxAge: Number.POSITIVE_INFINITY,
      historyMaxSize: Number.POSITIVE_INFINITY,
      historyUrl: "off",
    });
    expect(parse("--allow-private-addresses").allowPrivateAddresses).toBe(true);
    expect(parse("--allow-private-addresses", "loopback,10.1.0.0/16").allowPrivateAddresses).toHaveLength(2);
  });

  test.each([
    [["--roles", "api,enigne"], "enigne is not a role; use api, engine, actions, recorder"],
    [["--port", "70000"], "a whole number from 0 to 65535"],
    [["--shards", "0"], "a whole number from 1"],
    [["--lateness", "soon"], "a duration, such as"],
    [["--lease", "1ms"], "a duration of at least 500ms"],
    [["--redis", "localhost:6379"], "redis://127.0.0.1:6379"],
    [["--workspace", "a{b}"], "letters, digits"],
    [["--allow-private-addresses", "10.1.0.0/99"], "invalid network"],
    [["--history-url", "mysql://here"], "sqlite:path/to/file"],
    [["--history-max-size", "10"], "such as 500MB"],
    [["--history-max-age", "long"], "a duration"],
    [["--log-margin", "30m"], "a duration of at least 35m"],
    [["--trust-proxy", "maybe"], "yes or no"],
    [["--cors-origin", "*"], "not an origin"],
    [["--cors-origin", "https://app.example.org/"], "scheme, host and port only"],
    [["--log-level", "loud"], "Allowed choices are"],
  ])("are refused with what is expected: %j", (words, says) => {
    expect(() => parse(...words)).toThrow(says);
  });

  // docs/settings.md and --help name the defaults, and people write them down to make them explicit.
  test("accept their documented default as a value, with the same meaning", () => {
    const defaults = parse() as unknown as Record<string, unknown>;
    for (const option of settingsOptions()) {
      const written = String(option.defaultValueDescription ?? option.defaultValue);
      const parsed = parse(String(option.long), written) as unknown as Record<string, unknown>;
      expect(parsed[option.attributeName()], `${option.long} ${written}`).toEqual(
        defaults[option.attributeName()] ?? "",
      );
    }
  });

  test("take none as an empty list, also where a path could be meant", () => {
    expect(parse("--rules", "none").rules).toEqual([]);
    expect(parse("--rules", "./none").rules).toEqual(["./none"]);
    expect(parse("--api-keys-file", "none").apiKeysFile).toBe("");
  });

  test("are all explained in docs/settings.md, with both names and the default", () => {
    const text = readFileSync(join(root, "docs", "settings.md"), "utf8");
    const missing = settingsOptions().filter(({ long, envVar, defaultValue, defaultValueDescription }) => {
      const row = text
        .split("\n")
        .find((line) => line.startsWith(`| \`${long} `) || line.startsWith(`| \`${long}\``));
      const defaultText = String(defaultValueDescription ?? defaultValue);
      return row === undefined || !row.includes(`\`${envVar}\``) || !row.includes(`\`${defaultText}\``);
    });
    expect(missing.map(({ flags }) => flags)).toEqual([]);
  });
});
