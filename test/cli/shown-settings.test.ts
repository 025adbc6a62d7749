/** Settings as a server shows them: as they are written, and without secrets. */

import { Command } from "commander";
import { describe, expect, test } from "vitest";
import { addSettings, type Settings, settingsOptions } from "../../src/cli/settings.ts";
import { shownSettings } from "../../src/cli/shown-settings.ts";

function parse(words: readonly string[]): Settings {
  const command = addSettings(new Command()).exitOverride();
  return command.parse(words, { from: "user" }).opts<Settings>();
}

const shown = (words: readonly string[], name: string) =>
  shownSettings(parse(words)).find((setting) => setting.name === name);

/** For each setting, a value that is not its default. */
const others: Readonly<Record<string, string>> = {
  "--roles": "api,recorder",
  "--rules": "rules,more/pumps.yaml",
  "--port": "4300",
  "--host": "0.0.0.0",
  "--workspace": "north,south",
  "--redis": "redis://redis.internal:6380/2",
  "--api-threads": "37",
  "--engine-threads": "38",
  "--redis-replicas": "1",
  "--api-keys-file": "keys.yaml",
  "--trust-proxy": "yes",
  "--cors-origin": "https://pumps.example,https://vents.example",
  "--history-url": "postgres://tripline@db.internal/tripline",
  "--history-max-age": "45d",
  "--history-max-size": "1.5GB",
  "--log-margin": "90m",
  "--lateness": "1m30s",
  "--shards": "4",
  "--lease": "1500ms",
  "--stalled-after": "1m",
  "--seen-max": "5000",
  "--concurrency": "7",
  "--retry": "250ms",
  "--retry-max": "20m",
  "--give-up-after": "2h",
  "--worker-dead-after": "45s",
  "--allow-private-addresses": "loopback,10.1.0.0/16",
  "--canary": "5m",
  "--canary-url": "http://tripline:4200/api",
  "--heartbeat-url": "https://heartbeats.example",
  "--log-level": "debug",
  "--log-format": "text",
};

describe("a setting", () => {
  test.each(settingsOptions().map((option) => String(option.long)))(
    "%s is shown as it would be written, and is changed when it is not the default",
    (name) => {
      expect(shown([], name)).toMatchObject({ changed: false, value: shown([], name)?.default });
      const written = others[name] ?? "";
      const other = shown([name, written], name);
      expect(other).toMatchObject({ changed: true });
      if (name === "--heartbeat-url") return; // most of it is masked
      // It may be written differently, such as 1500ms for 1.5s, but means the same.
      expect(parse([name, other?.value ?? ""])).toEqual(parse([name, written]));
    },
  );

  test.each([
    ["--history-max-age", "unlimited"],
    ["--history-max-size", "unlimited"],
    ["--history-max-size", "999kB"],
    ["--history-url", "off"],
    ["--canary", "0"],
    ["--allow-private-addresses", "all"],
  ])("%s %s is shown so, too", (name, written) => {
    expect(shown([name, written], name)?.value).toBe(written);
  });

  test.each([
    [
      "--redis",
      "rediss://pumps:p4ssw0rd@redis.internal:6380/2",
      "rediss://pumps:********@redis.internal:6380/2",
    ],
    [
      "--history-url",
      "postgres://pumps:p4ssw0rd@db.internal/tripline",
      "postgres://pumps:********@db.internal/tripline",
    ],
    [
      "--history-url",
      "postgres://db.internal/t?user=a&password=p4ssw0rd",
      "postgres://db.internal/t?user=a&password=********",
    ],
    [
      "--canary-url",
      "https://pumps:p4ssw0rd@tripline.internal/api",
      "https://pumps:********@tripline.internal/api",
    ],
    ["--heartbeat-url", "https://heartbeats.example/ping/p4ssw0rd", "https://heartbeats.example/********"],
  ])("%s %s is shown without its secret", (name, written, expected) => {
    expect(shown([name, written], name)?.value).toBe(expected);
    expect(JSON.stringify(shownSettings(parse([name, written])))).not.toContain("p4ssw0rd");
  });
});
