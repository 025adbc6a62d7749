/** `tripline events`: what has happened, what happens, and how often. */

import { Command, InvalidArgumentError, Option } from "commander";
import type { EventCount, EventFilter, ReceivedEvent } from "../client/index.ts";
import {
  day,
  formatTime,
  hour,
  millisecond,
  minute,
  parseDuration,
  parseTime,
  second,
  timeMin,
} from "../core/model/time.ts";
import { addConnection, asking, type ConnectionOptions } from "./connection.ts";
import { readCount } from "./deliveries.ts";
import { CommandFailure } from "./failure.ts";
import { addOutput, type OutputOptions, onOneLine, print, printOneOfMany, table } from "./output.ts";

interface FilterOptions {
  readonly name: readonly string[];
  readonly resource: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly text?: string;
}

type Options = ConnectionOptions & OutputOptions & FilterOptions;

export function eventsCommand(): Command {
  return new Command("events")
    .description("The events of a running server.")
    .addCommand(listCommand())
    .addCommand(tailCommand())
    .addCommand(countCommand());
}

function listCommand(): Command {
  const command = new Command("ls")
    .description("List events, the latest first.")
    .option("-n, --limit <count>", "how many at most", readCount, 50)
    .option("--oldest-first", "the earliest first");
  return addOutput(addConnection(addFilter(command))).action(
    async (options: Options & { limit: number; oldestFirst?: true }) => {
      const filter = { ...filterOf(options), order: options.oldestFirst === true ? "ASC" : "DESC" } as const;
      const events = await asking(options, async (tripline) => {
        const found: ReceivedEvent[] = [];
        if (options.limit === 0) return found;
        for await (const event of tripline.events.filter(filter, {
          pageSize: Math.min(100, options.limit),
        })) {
          found.push(event);
          if (found.length === options.limit) break;
        }
        return found;
      });
      print(events, options.output, () =>
        events.length === 0
          ? "No event matches."
          : table(
              ["OCCURRED", "EVENT", "RESOURCE", "ID"],
              events.map((event) => [event.occurred, event.event, resourceOf(event), event.id]),
            ),
      );
    },
  );
}

function tailCommand(): Command {
  const command = new Command("tail")
    .description("Print events as they come. JSON is one a line; YAML is one a document.")
    .option("--backfill", "begin with those of the last quarter of an hour")
    .option("-n, --limit <count>", "end after so many", readCount);
  return addOutput(addConnection(addFilter(command))).action(
    async (options: Options & { backfill?: true; limit?: number }) => {
      const { backfill = false, limit = Number.POSITIVE_INFINITY, output } = options;
      if (limit === 0) return;
      await asking(options, async (tripline) => {
        let count = 0;
        for await (const event of tripline.events.stream(filterOf(options), { backfill })) {
          printOneOfMany(event, output, () =>
            onOneLine(`${event.occurred}  ${event.event}  ${resourceOf(event)}  ${event.id}`),
          );
          count += 1;
          if (count === limit) break;
        }
      });
    },
  );
}

const unitLengths = { week: 7 * day, day, hour, minute, second } as const;
const units = Object.keys(unitLengths) as (keyof typeof unitLengths)[];

/** By time, when nothing says since when. By itself the server counts half a year: too many hours to be answered. */
const groupCountDefault = 100;

interface CountOptions {
  readonly by: "event" | "resource" | "day" | "time";
  readonly unit: keyof typeof unitLengths;
  readonly interval: number;
}

function countCommand(): Command {
  const command = new Command("count")
    .description("Count events in groups.")
    .addOption(
      new Option("-b, --by <what>", "what to group by")
        .choices(["event", "resource", "day", "time"])
        .default("event"),
    )
    .addOption(new Option("--unit <unit>", "with --by time: how long").choices(units).default("hour"))
    .option("--interval <count>", "with --by time: how many units a group lasts", readInterval, 1)
    .addHelpText("after", `\nBy time, without --since: the last ${groupCountDefault} groups.`);
  return addOutput(addConnection(addFilter(command))).action(async (options: Options & CountOptions) => {
    const { by, interval } = options;
    const unit = by === "time" ? options.unit : "day";
    const since = by === "time" ? (options.since ?? startOf(options)) : options.since;
    const filter = filterOf(since === undefined ? options : { ...options, since });
    const counts = await asking(options, (tripline) => tripline.events.count(by, filter, { unit, interval }));
    print(counts, options.output, () =>
      counts.every(({ count }) => count === 0) ? "No event matches." : table(...countTable(counts, by)),
    );
  });
}

function startOf({ until, unit, interval }: Options & CountOptions): string {
  const end = (until === undefined ? null : parseTime(until)) ?? Date.now() * millisecond;
  return formatTime(Math.max(timeMin, end - Math.round(groupCountDefault * interval * unitLengths[unit])));
}

function countTable(counts: readonly EventCount[], by: CountOptions["by"]): [string[], string[][]] {
  if (by === "day" || by === "time") {
    // The months before the first event say nothing.
    const filled = counts.slice(counts.findIndex(({ count }) => count > 0));
    return [["START", "COUNT"], filled.map(({ start_time, count }) => [start_time, String(count)])];
  }
  const rows = counts.map(({ label, value, count, start_time, end_time }) => [
    String(count),
    label === value ? label : `${label} (${value})`,
    start_time,
    end_time,
  ]);
  return [["COUNT", by.toUpperCase(), "FIRST", "LAST"], rows];
}

function addFilter(command: Command): Command {
  return command
    .option(
      "-e, --name <name>",
      "with this name, or one that begins so: job.* (may be repeated)",
      addText,
      [],
    )
    .option(
      "-r, --resource <id>",
      "about this resource, or one that begins so: pump.* (may be repeated)",
      addText,
      [],
    )
    .option("-s, --since <time>", "from this instant on, or from so long ago: 90m, 1d", readMoment)
    .option("--until <time>", "up to this instant, or so long ago", readMoment)
    .option("-t, --text <query>", 'with these words in them: +must -mustn\'t "a phrase"');
}

function filterOf({ name, resource, since, until, text }: FilterOptions): EventFilter {
  const names = wholeOrPrefixes(name, "--name");
  const resources = wholeOrPrefixes(resource, "--resource");
  return {
    ...(since === undefined && until === undefined ? {} : { occurred: { since, until } }),
    ...(names === null ? {} : { event: names.begins ? { prefix: names.texts } : { name: names.texts } }),
    ...(resources === null
      ? {}
      : { resource: resources.begins ? { id_prefix: resources.texts } : { id: resources.texts } }),
    ...(text === undefined ? {} : { text: { query: text } }),
  };
}

/** A filter takes the alternatives of one kind: whole names and beginnings together would both have to hold. */
function wholeOrPrefixes(
  texts: readonly string[],
  option: string,
): { readonly begins: boolean; readonly texts: string[] } | null {
  if (texts.length === 0) return null;
  const beginnings = texts.filter((text) => text.endsWith("*"));
  if (beginnings.length === 0) return { begins: false, texts: [...texts] };
  if (beginnings.length < texts.length) {
    throw new CommandFailure(`${option}: give either whole ones or ones that end in *, not both.`, 2);
  }
  return { begins: true, texts: texts.map((text) => text.slice(0, -1)) };
}

function resourceOf({ resource }: ReceivedEvent): string {
  return resource["prefect.resource.id"] ?? "";
}

function addText(text: string, texts: readonly string[]): readonly string[] {
  return [...texts, text];
}

/** An instant, RFC 3339, from one or from how long ago it was. */
function readMoment(text: string): string {
  if (parseTime(text) !== null) return text;
  const ago = parseDuration(text);
  if (ago !== null) return new Date(Date.now() - ago / 1_000).toISOString();
  throw new InvalidArgumentError(
    "It should be a time such as 2026-03-01T09:30:00Z, or a duration such as 90m.",
  );
}

function readInterval(text: string): number {
  const count = Number(text);
  if (Number.isFinite(count) && count >= 0.01) return count;
  throw new InvalidArgumentError("It should be a number of at least 0.01.");
}
