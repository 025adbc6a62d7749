/** `tripline audit`: who changed what, and when. */

import { Command, Option } from "commander";
import type { FieldChange, ReceivedEvent } from "../client/index.ts";
import type { Actor } from "../core/model/actor.ts";
import { isRecord } from "../core/model/record.ts";
import { formatTime, type Micros, millisecond } from "../core/model/time.ts";
import { fieldChangeText } from "./change-text.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { addExamples } from "./help.ts";
import { readCount, readLength, readMoment } from "./option-values.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { printable } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

interface AuditOptions extends ConnectionOptions, OutputOptions {
  readonly since?: string;
  readonly until?: string;
  readonly last?: Micros;
  readonly limit: number;
}

/** What `--json` prints for each change. */
interface AuditEntry {
  readonly time: string;
  readonly what: string;
  readonly change: string;
  readonly id: string;
  readonly name: string;
  /** Null for a change that an older version recorded. */
  readonly changed_by: Actor | null;
  readonly changes: readonly FieldChange[];
  readonly event: string;
}

const names = [
  ...["created", "updated", "deleted"].map((change) => `prefect-cloud.automation.${change}`),
  "tripline.endpoint.enabled",
];
const prefixes = ["tripline.destination.", "tripline.hook.", "tripline.api-key."];

export function auditCommand(): Command {
  const command = new Command("audit")
    .description(
      "List who changed what, the latest first: automations, destinations, hooks and API keys, with the old and the new " +
        "values. It reaches as far back as the history.",
    )
    .option("-n, --limit <count>", "stop after this many changes", readCount, 50)
    .addOption(
      new Option("-s, --since <time>", "from this time, or from a duration ago (90m, 1d)").argParser(
        readMoment,
      ),
    )
    .addOption(new Option("--until <time>", "until this time, or until a duration ago").argParser(readMoment))
    .addOption(
      new Option("--last <duration>", "of the last 90m, 1d, …").argParser(readLength).conflicts("since"),
    );
  addConnection(addOutput(command));
  addExamples(command, [
    ["tripline audit --last 7d", "the last week"],
    ["tripline audit --json | jq -r '.[] | [.time, .changed_by.name, .name] | @tsv'", "for a program"],
  ]);
  return command.action(async (options: AuditOptions) => {
    const entries = await withServer(options, async (tripline) => {
      const found: AuditEntry[] = [];
      if (options.limit === 0) return found;
      const since =
        options.last === undefined ? options.since : formatTime(Date.now() * millisecond - options.last);
      const filter = {
        event: { prefix: [...names, ...prefixes] },
        ...(since === undefined && options.until === undefined
          ? {}
          : { occurred: { since, until: options.until } }),
      };
      for await (const event of tripline.events.filter(filter, { pageSize: Math.min(100, options.limit) })) {
        found.push(entryOf(event));
        if (found.length === options.limit) break;
      }
      return found;
    });
    print(entries, options, (view) =>
      entries.length === 0
        ? "No change is in the history."
        : entries.map((entry) => entryText(entry, view)).join("\n"),
    );
  });
}

function entryOf({ id, event, occurred, resource, payload }: ReceivedEvent): AuditEntry {
  const [, what = "", change = ""] = /^(?:prefect-cloud|tripline)\.([\w-]+)\.(\w+)$/.exec(event) ?? [];
  const { changed_by: actor, changes } = payload;
  const resourceId = resource["prefect.resource.id"] ?? "";
  return {
    time: occurred,
    what,
    change,
    id: resourceId.replace(/^(?:prefect-cloud|tripline)\.[\w-]+\./, ""),
    name: resource["prefect.resource.name"] ?? resourceId,
    changed_by: isRecord(actor) ? (actor as unknown as Actor) : null,
    changes: Array.isArray(changes) ? (changes as FieldChange[]) : [],
    event: id,
  };
}

function entryText({ time, what, change, name, changed_by: actor, changes }: AuditEntry, view: View): string {
  const line = `${timeText(time, view)}  ${actorText(actor)}  ${change} ${what} ${name}`;
  return [line, ...changes.map((each) => `    ${fieldChangeText(each, view)}`)].map(printable).join("\n");
}

function actorText(actor: Actor | null): string {
  if (actor === null) return "unknown";
  const name = actor.name ?? actor.id ?? "";
  switch (actor.type) {
    case "api-key":
      return `key ${name}`;
    case "no-key":
      return "anyone (no key)";
    case "rule-files":
      return "rule files";
    case "key-file":
      return `key file ${name}`;
    case "action":
      return `action of ${name}`;
    default:
      return name;
  }
}
