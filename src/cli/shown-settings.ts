/** The settings of a server as people write them, without secrets: for those who ask a server what it runs with. */

import { isDeepStrictEqual } from "node:util";
import type { ShownSetting } from "../api/server/settings.ts";
import { formatDuration, type Micros } from "../core/model/time.ts";
import { withoutPassword } from "../store/redis-url.ts";
import { type Settings, settingsOptions } from "./settings.ts";

type Show<Value> = (value: Value) => string;

/** Those that are not written as `String` does. */
const shows: { readonly [Name in keyof Settings]?: Show<Settings[Name]> } = {
  roles: listed,
  rules: listed,
  workspace: listed,
  corsOrigin: listed,
  redis: withoutPassword,
  historyUrl: withoutPassword,
  canaryUrl: (url) => (url === null ? "none" : withoutPassword(url)),
  // Services for heartbeats give each of their clients an address that no one else knows.
  heartbeatUrl: (url) => (url === null ? "none" : `${new URL(url).origin}/********`),
  apiKeysFile: (path) => path || "none",
  trustProxy: (isOn) => (isOn ? "yes" : "no"),
  allowPrivateAddresses: (networks) => (networks === true ? "all" : listed(networks)),
  historyMaxAge: orUnlimited(formatDuration),
  historyMaxSize: orUnlimited(sizeText),
  ...allAs(formatDuration, [
    "logMargin",
    "lateness",
    "lease",
    "stalledAfter",
    "retry",
    "retryMax",
    "giveUpAfter",
    "workerDeadAfter",
  ]),
  canary: (interval) => (interval === 0 ? "0" : formatDuration(interval)),
};

/** Every setting, in the order of the documentation. */
export function shownSettings(settings: Settings): ShownSetting[] {
  return settingsOptions().map((option) => {
    const name = option.attributeName() as keyof Settings;
    const value = settings[name];
    const standard = String(option.defaultValueDescription ?? option.defaultValue);
    const changed = !isDeepStrictEqual(value, option.defaultValue);
    const show = (shows[name] ?? String) as Show<unknown>;
    return {
      name: option.long ?? option.flags,
      variable: option.envVar ?? "",
      description: option.description,
      value: changed ? show(value) : standard,
      default: standard,
      changed,
    };
  });
}

function listed(items: readonly string[]): string {
  return items.length === 0 ? "none" : items.join(",");
}

function orUnlimited(show: Show<number>): Show<number> {
  return (value) => (Number.isFinite(value) ? show(value) : "unlimited");
}

function allAs<Name extends keyof Settings>(show: Show<Micros>, names: readonly Name[]) {
  return Object.fromEntries(names.map((name) => [name, show])) as { readonly [Each in Name]: Show<Micros> };
}

/** A size that `--history-max-size` reads as the same number of bytes. */
function sizeText(bytes: number): string {
  const units = ["kB", "MB", "GB", "TB"];
  const power = Math.max(1, Math.min(units.length, Math.floor(Math.log10(Math.max(bytes, 1)) / 3)));
  return `${bytes / 1_000 ** power}${units[power - 1]}`;
}
