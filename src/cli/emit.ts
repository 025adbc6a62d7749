/** `tripline emit`: sends events to a server. */

import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { Argument, Command, Option } from "commander";
import { batchesOf, type EmittedEvent, type NewEvent, type RefusedInput } from "../client/index.ts";
import { nestsDeeper } from "../core/json/depth.ts";
import { parseExactJson } from "../core/json/exact-json.ts";
import { isUuid } from "../core/model/event.ts";
import { isRecord } from "../core/model/record.ts";
import { parseTime } from "../core/model/time.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { hiddenAlias, noteUtc } from "./option-values.ts";
import { printable } from "./output/text.ts";

interface EmitCommandOptions extends ConnectionOptions {
  readonly event?: string;
  readonly name?: string;
  readonly resourceId?: string;
  readonly resource?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly related?: readonly Readonly<Record<string, string>>[];
  readonly payload?: string;
  readonly occurred?: string;
  readonly follows?: string;
  readonly id?: string;
  readonly quiet?: boolean;
}

type Draft = Record<string, unknown>;

export function emitCommand(): Command {
  const command = new Command("emit")
    .description(
      "Send one event, made from options; or all events of a file. A missing id or time is filled in.\n\n" +
        "A file holds one event as JSON, a list of events, or one event per line.",
    )
    .addArgument(completeWith("files", new Argument("[file]", "a file of events; - for standard input")));
  const options = [
    new Option("-e, --event <name>", "the event's name, such as job.failed"),
    hiddenAlias("--name <name>"),
    new Option("-r, --resource-id <id>", "what it happened to, such as job.nightly-backup"),
    hiddenAlias("--resource <id>"),
    new Option("-l, --label <key=value>", "a label of that resource (may be repeated)").argParser(addLabel),
    new Option(
      "--related <role=id[,key=value…]>",
      "another resource that is involved, and its role (may be repeated)",
    ).argParser(addRelated),
    new Option("-p, --payload <json>", "a JSON object"),
    new Option(
      "-o, --occurred <time>",
      "when it happened: RFC 3339, such as 2026-03-01T09:30:00Z; UTC without an offset (default: now)",
    ),
    new Option("-f, --follows <id>", "the id of the event that this one follows"),
    new Option("--id <uuid>", "the event's id (default: a new one); the same id counts once"),
  ];
  for (const option of options) command.addOption(option.helpGroup("The event:"));
  command.addOption(new Option("-q, --quiet", "print nothing").helpGroup("Output:"));
  addConnection(command);
  addExamples(command, [
    ['tripline emit -e job.failed -r job.backup -p \'{"reason": "disk full"}\'', "one event"],
    ["tripline emit events.ndjson", "the events of a file"],
    ["my-program | tripline emit -", "the events that a program prints"],
  ]);
  return command.action(async (file: string | undefined, options: EmitCommandOptions) => {
    const { drafts, unreadable } =
      file === undefined ? { drafts: [fromOptions(options)], unreadable: [] } : await fromFile(file, options);
    const refusals: string[] = [...unreadable];
    await withServer(options, async (tripline) => {
      // The server checks the events; nothing is checked twice.
      for (const batch of batchesOf(drafts as unknown as NewEvent[])) {
        const sent = await tripline.events.emit(batch, {
          onRefused: (event, mistakes) => refusals.push(refusalLine(event, mistakes)),
        });
        if (options.quiet !== true) for (const event of sent) console.log(lineOf(event));
      }
    });
    if (refusals.length === 0) return;
    const all = drafts.length + unreadable.length;
    const summary =
      refusals.length === all
        ? `${all === 1 ? "The event was" : `All ${all} events were`} refused; nothing was stored:`
        : `${refusals.length} of ${all} events were refused; the others are stored:`;
    throw new CommandFailure([summary, ...refusals.map((line) => `  ${line}`)].join("\n"));
  });
}

function fromOptions(options: EmitCommandOptions): Draft {
  const name = options.event ?? options.name;
  if (name === undefined) {
    throw new CommandFailure(
      "Give the event's name with --event NAME, or a file of events (- for standard input).",
      2,
    );
  }
  const resourceId = options.resourceId ?? options.resource;
  if (resourceId === undefined) {
    throw new CommandFailure(
      "Give what it happened to with --resource-id ID, such as job.nightly-backup.",
      2,
    );
  }
  for (const [option, id] of [
    ["--follows", options.follows],
    ["--id", options.id],
  ] as const) {
    if (id !== undefined && !isUuid(id)) {
      throw new CommandFailure(`${option} is ${JSON.stringify(id)}. Expected a UUID.`, 2);
    }
  }
  if (options.occurred !== undefined && parseTime(options.occurred) === null) {
    throw new CommandFailure(
      `--occurred is ${JSON.stringify(options.occurred)}. Expected a time such as 2026-03-01T09:30:00Z.`,
      2,
    );
  }
  if (options.occurred !== undefined) noteUtc(options.occurred);
  return {
    event: name,
    resource: { "prefect.resource.id": resourceId, ...options.label },
    related: options.related ?? [],
    payload: options.payload === undefined ? {} : payloadOf(options.payload),
    ...(options.occurred === undefined ? {} : { occurred: options.occurred }),
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(options.follows === undefined ? {} : { follows: options.follows }),
  };
}

function payloadOf(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch (error) {
    throw new CommandFailure(`--payload is not valid JSON: ${(error as Error).message}`, 2, { cause: error });
  }
}

/** Far more than any server accepts, and few enough to be written as JSON. */
const depthMax = 1_000;

/** The events of a file, and what is wrong with the lines that hold none: one bad line harms only itself. */
interface FileEvents {
  readonly drafts: readonly Draft[];
  readonly unreadable: readonly string[];
}

async function fromFile(file: string, options: EmitCommandOptions): Promise<FileEvents> {
  if (
    options.event !== undefined ||
    options.name !== undefined ||
    (options.resourceId ?? options.resource) !== undefined
  ) {
    throw new CommandFailure("Give either a file of events or the options of one event, not both.", 2);
  }
  const text = file === "-" ? await readAll(process.stdin) : await readFileOr(file);
  const whole = tryJson(text);
  const items =
    whole === undefined
      ? text.split("\n").flatMap((line, index) => {
          const place = `${file}:${index + 1}`;
          return line.trim() === "" ? [] : [{ place, value: tryJson(line) }];
        })
      : (Array.isArray(whole) ? whole : [whole]).map((value: unknown, index) => ({
          place: Array.isArray(whole) ? `${file}[${index}]` : file,
          value,
        }));
  const drafts: Draft[] = [];
  const unreadable: string[] = [];
  for (const { place, value } of items) {
    if (value === undefined) unreadable.push(`${place}: this line is not valid JSON`);
    else if (!isRecord(value)) unreadable.push(`${place}: an event must be a JSON object`);
    else if (nestsDeeper(value, depthMax)) unreadable.push(`${place}: it nests too deep`);
    else drafts.push(value);
  }
  return { drafts, unreadable };
}

async function readFileOr(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new CommandFailure(`Cannot read ${file}: ${(error as Error).message}`, 1, { cause: error });
  }
}

function tryJson(text: string): unknown {
  try {
    return parseExactJson(text);
  } catch {
    return undefined;
  }
}

function refusalLine({ id, event }: EmittedEvent, mistakes: readonly RefusedInput[]): string {
  const found = mistakes.map(({ loc, msg }) => `${loc.slice(2).join(".") || "event"}: ${msg}`).join("; ");
  return printable(`${String(event).slice(0, 100)}  ${id}  ${found || "the server refused it"}`);
}

function lineOf({ event, resource, id }: EmittedEvent): string {
  return printable(`sent  ${event}  ${resource["prefect.resource.id"] ?? ""}  ${id}`);
}

function addLabel(text: string, labels: Readonly<Record<string, string>> = {}): Record<string, string> {
  const [key, value] = pairOf(text, "--label");
  return { ...labels, [key]: value };
}

function addRelated(
  text: string,
  related: readonly Record<string, string>[] = [],
): readonly Record<string, string>[] {
  const [first = "", ...labels] = text.split(",");
  const [role, id] = pairOf(first, "--related");
  const resource = { "prefect.resource.id": id, "prefect.resource.role": role };
  return [
    ...related,
    { ...resource, ...Object.fromEntries(labels.map((label) => pairOf(label, "--related"))) },
  ];
}

function pairOf(text: string, option: string): [key: string, value: string] {
  const equals = text.indexOf("=");
  if (equals > 0) return [text.slice(0, equals), text.slice(equals + 1)];
  throw new CommandFailure(`${option} is ${JSON.stringify(text)}. Expected key=value.`, 2);
}
