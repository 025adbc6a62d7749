/** `tripline emit`: sends events to a server. */

import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { Argument, Command, Option } from "commander";
import { batchesOf, type EmittedEvent, type NewEvent, Refused, type Tripline } from "../client/index.ts";
import { parseExactJson } from "../core/json/exact-json.ts";
import { isUuid } from "../core/model/event.ts";
import { parseTime } from "../core/model/time.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { hiddenAlias } from "./option-values.ts";
import { printable } from "./output/text.ts";

interface EmitOptions extends ConnectionOptions {
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
      "when it happened: RFC 3339, such as 2026-03-01T09:30:00Z (default: now)",
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
  return command.action(async (file: string | undefined, options: EmitOptions) => {
    const drafts = file === undefined ? [fromOptions(options)] : await fromFile(file, options);
    await withServer(options, async (tripline) => {
      // The server checks the events; nothing is checked twice.
      for (const batch of batchesOf(drafts as unknown as NewEvent[])) {
        const sent = await send(tripline, batch);
        if (options.quiet !== true) for (const event of sent) console.log(lineOf(event));
      }
    });
  });
}

function fromOptions(options: EmitOptions): Draft {
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

async function fromFile(file: string, options: EmitOptions): Promise<Draft[]> {
  if (
    options.event !== undefined ||
    options.name !== undefined ||
    (options.resourceId ?? options.resource) !== undefined
  ) {
    throw new CommandFailure("Give either a file of events or the options of one event, not both.", 2);
  }
  const text = file === "-" ? await readAll(process.stdin) : await readFileOr(file);
  const whole = tryJson(text);
  if (whole !== undefined)
    return (Array.isArray(whole) ? whole : [whole]).map((draft) => asDraft(draft, file));
  return text.split("\n").flatMap((line, index) => {
    if (line.trim() === "") return [];
    const place = `${file}:${index + 1}`;
    const draft = tryJson(line);
    if (draft === undefined)
      throw new CommandFailure(`${place}: this line is not valid JSON. Nothing was sent.`);
    return [asDraft(draft, place)];
  });
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

function asDraft(value: unknown, place: string): Draft {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Draft;
  throw new CommandFailure(`${place}: an event must be a JSON object. Nothing was sent.`);
}

/** @throws CommandFailure */
async function send(tripline: Tripline, events: readonly NewEvent[]): Promise<EmittedEvent[]> {
  try {
    return await tripline.events.emit(events);
  } catch (error) {
    if (!(error instanceof Refused) || error.mistakes.length === 0) throw error;
    const lines = error.message.split("\n").map((line) => `  ${line}`);
    throw new CommandFailure(
      `The server refused the events (${error.status}) and stored none of this batch:\n${lines.join("\n")}`,
      1,
      { cause: error },
    );
  }
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
