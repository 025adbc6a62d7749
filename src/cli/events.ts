/** `tripline events`: what has happened, what is happening, and how often. */

import { Command, InvalidArgumentError, Option } from "commander";
import type { EventCount, EventFilter, ReceivedEvent } from "../client/index.ts";
import {
  day,
  formatTime,
  hour,
  type Micros,
  millisecond,
  minute,
  parseTime,
  second,
  timeMin,
} from "../core/model/time.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples, addNotes } from "./help.ts";
import { collect, hiddenAlias, joined, readCount, readLength, readMoment } from "./option-values.ts";
import { addOutput, type OutputOptions, print, printNext } from "./output/output.ts";
import { type TableColumn, table } from "./output/table.ts";
import { printable, shortId } from "./output/text.ts";
import { timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

interface FilterOptions {
  readonly event?: readonly string[];
  readonly name?: readonly string[];
  readonly resource?: readonly string[];
  readonly since?: string;
  readonly until?: string;
  readonly last?: Micros;
  readonly text?: string;
}

type Options = ConnectionOptions & OutputOptions & FilterOptions;

export function eventsCommand(): Command {
  return new Command("events")
    .description("List, follow and count the events of a running server.")
    .addCommand(listCommand())
    .addCommand(tailCommand())
    .addCommand(countCommand());
}

function listCommand(): Command {
  const command = new Command("ls")
    .description("List events, the latest first.")
    .option("-n, --limit <count>", "stop after this many events", readCount, 50)
    .option("--oldest-first", "list the earliest events first");
  addConnection(addOutput(addFilter(command)));
  addExamples(command, [
    ["tripline events ls --last 1h", "the last hour"],
    ["tripline events ls -e 'job.*' -r job.backup", "by name and resource"],
    ["tripline events ls --text '\"disk full\"'", "with these words"],
  ]);
  return command.action(async (options: Options & { limit: number; oldestFirst?: true }) => {
    const filter = { ...filterOf(options), order: options.oldestFirst === true ? "ASC" : "DESC" } as const;
    const events = await withServer(options, async (tripline) => {
      const found: ReceivedEvent[] = [];
      if (options.limit === 0) return found;
      const pages = tripline.events.filter(filter, { pageSize: Math.min(100, options.limit) });
      for await (const event of pages) {
        found.push(event);
        if (found.length === options.limit) break;
      }
      return found;
    });
    print(events, options, (view) =>
      events.length === 0 ? noMatch : table(eventColumns(view), events, view),
    );
  });
}

const noMatch = "No event matches.";

export function eventColumns(view: View): TableColumn<ReceivedEvent>[] {
  return [
    { heading: "OCCURRED", cell: ({ occurred }) => timeText(occurred, view), widthMin: 8 },
    { heading: "EVENT", cell: ({ event }) => (view.brief ? shortName(event) : event), widthMin: 16 },
    {
      heading: "RESOURCE",
      cell: (event) => (view.brief ? resourceName(event) : resourceOf(event)),
      widthMin: 12,
    },
    { heading: "ID", cell: ({ id }) => (view.brief ? shortId(id) : id), style: () => "dim" },
  ];
}

function tailCommand(): Command {
  const command = new Command("tail")
    .description("Print events as they arrive: one per line, or with --output yaml one per document.")
    .option("--backfill", "begin with the events of the last 15 minutes")
    .option("-n, --limit <count>", "stop after this many events", readCount);
  addConnection(addOutput(addFilter(command)));
  addExamples(command, [
    ["tripline events tail --backfill", "everything"],
    ["tripline events tail -e 'job.*' --json | jq .payload", "for a program"],
  ]);
  return command.action(async (options: Options & { backfill?: true; limit?: number }) => {
    const { backfill = false, limit = Number.POSITIVE_INFINITY } = options;
    if (limit === 0) return;
    await withServer(options, async (tripline) => {
      let count = 0;
      for await (const event of tripline.events.stream(filterOf(options), { backfill })) {
        printNext(event, options, (view) =>
          printable(
            eventColumns(view)
              .map(({ cell }) => cell(event))
              .join("  "),
          ),
        );
        count += 1;
        if (count === limit) break;
      }
    });
  });
}

const unitLengths = { week: 7 * day, day, hour, minute, second } as const;
const units = Object.keys(unitLengths) as (keyof typeof unitLengths)[];

/** By time, without a start. The server's own default is half a year, which is more hours than it answers at once. */
const groupCountDefault = 100;

interface CountCommandOptions {
  readonly by: "event" | "resource" | "day" | "time";
  readonly unit: keyof typeof unitLengths;
  readonly interval: number;
}

function countCommand(): Command {
  const command = new Command("count")
    .description("Count events in groups.")
    .addOption(
      new Option("-b, --by <what>", "group by")
        .choices(["event", "resource", "day", "time"])
        .default("event"),
    )
    .addOption(new Option("--unit <unit>", "with --by time: the unit").choices(units).default("hour"))
    .option("--interval <count>", "with --by time: how many units a group covers", readInterval, 1);
  addConnection(addOutput(addFilter(command)));
  addNotes(command, `--by time without --since or --last counts the last ${groupCountDefault} groups.`);
  addExamples(command, [
    ["tripline events count --last 1d", "by name"],
    ["tripline events count --by resource -e job.failed", "which jobs fail"],
    ["tripline events count --by time --unit minute", "how busy it is"],
  ]);
  return command.action(async (options: Options & CountCommandOptions) => {
    const { by, interval } = options;
    const unit = by === "time" ? options.unit : "day";
    const filter = filterOf(by === "time" ? { since: startOf(options), ...options } : options);
    const counts = await withServer(options, (tripline) =>
      tripline.events.count(by, filter, { unit, interval }),
    );
    print(counts, options, (view) => {
      if (counts.every(({ count }) => count === 0)) return noMatch;
      if (by === "event" || by === "resource") return table(groupColumns(by, view), counts, view);
      // The time before the first event says nothing.
      return table(timeColumns(view), counts.slice(counts.findIndex(({ count }) => count > 0)), view);
    });
  });
}

function startOf({ until, unit, interval }: Options & CountCommandOptions): string {
  const end = (until === undefined ? null : parseTime(until)) ?? Date.now() * millisecond;
  return formatTime(Math.max(timeMin, end - Math.round(groupCountDefault * interval * unitLengths[unit])));
}

const countColumn: TableColumn<EventCount> = {
  heading: "COUNT",
  cell: ({ count }) => String(count),
  alignRight: true,
};

function timeColumns(view: View): TableColumn<EventCount>[] {
  return [{ heading: "START", cell: ({ start_time: start }) => timeText(start, view) }, countColumn];
}

function groupColumns(by: "event" | "resource", view: View): TableColumn<EventCount>[] {
  return [
    countColumn,
    {
      heading: by.toUpperCase(),
      cell: ({ label, value }) => (label === value ? label : `${label} (${value})`),
      widthMin: 20,
    },
    { heading: "FIRST", cell: ({ start_time: start }) => timeText(start, view), widthMin: 8 },
    { heading: "LAST", cell: ({ end_time: end }) => timeText(end, view), widthMin: 8 },
  ];
}

const filterGroup = "Which events:";

function addFilter(command: Command): Command {
  const options = [
    completeWith(
      "event-names",
      new Option(
        "-e, --event <name>",
        "with this name, or this beginning of one: 'job.*' (may be repeated)",
      ).argParser(collect),
    ),
    hiddenAlias("--name <name>", collect),
    completeWith(
      "resources",
      new Option(
        "-r, --resource <id>",
        "about this resource; 'pump.*' for a beginning (may be repeated)",
      ).argParser(collect),
    ),
    new Option(
      "-s, --since <time>",
      "from this time (UTC without an offset), or from a duration ago (90m, 1d)",
    ).argParser(readMoment),
    new Option(
      "--until <time>",
      "until this time (UTC without an offset), or until a duration ago (90m, 1d)",
    ).argParser(readMoment),
    new Option("--last <duration>", "of the last 90m, 1d, …").argParser(readLength).conflicts("since"),
    new Option("-t, --text <query>", 'with these words: +must -mustn\'t "a phrase"'),
  ];
  for (const option of options) command.addOption(option.helpGroup(filterGroup));
  return command;
}

function filterOf(options: FilterOptions): EventFilter {
  const { until, last, text } = options;
  const since = last === undefined ? options.since : formatTime(Date.now() * millisecond - last);
  const names = wholeOrPrefixes(joined(options.event, options.name), "--event");
  const resources = wholeOrPrefixes(options.resource, "--resource");
  return {
    ...(since === undefined && until === undefined ? {} : { occurred: { since, until } }),
    ...(names === null ? {} : { event: names.begins ? { prefix: names.texts } : { name: names.texts } }),
    ...(resources === null
      ? {}
      : { resource: resources.begins ? { id_prefix: resources.texts } : { id: resources.texts } }),
    ...(text === undefined ? {} : { text: { query: text } }),
  };
}

/** A filter combines its parts with "and", so whole names and beginnings together would both have to hold. */
function wholeOrPrefixes(
  texts: readonly string[] = [],
  option: string,
): { readonly begins: boolean; readonly texts: string[] } | null {
  if (texts.length === 0) return null;
  const beginnings = texts.filter((text) => text.endsWith("*"));
  if (beginnings.length === 0) return { begins: false, texts: [...texts] };
  if (beginnings.length < texts.length) {
    throw new CommandFailure(`Give ${option} either whole values or values that end in *, not both.`, 2);
  }
  return { begins: true, texts: texts.map((text) => text.slice(0, -1)) };
}

/** Tripline's own events have long names and resources whose ids say nothing to people. */
const ownPrefix = "prefect-cloud.automation.";

function shortName(name: string): string {
  return name.startsWith(ownPrefix) ? `….${name.slice(ownPrefix.length)}` : name;
}

function resourceName(event: ReceivedEvent): string {
  const id = resourceOf(event);
  return (id.startsWith(ownPrefix) ? event.resource["prefect.resource.name"] : undefined) ?? id;
}

function resourceOf({ resource }: Pick<ReceivedEvent, "resource">): string {
  return resource["prefect.resource.id"] ?? "";
}

function readInterval(text: string): number {
  const count = Number(text);
  if (Number.isFinite(count) && count >= 0.01) return count;
  throw new InvalidArgumentError("Expected a number of at least 0.01.");
}
