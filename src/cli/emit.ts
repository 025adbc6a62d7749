/** `tripline emit`: sends events to a server. */

import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import { Command } from "commander";
import { batchesOf, type EmittedEvent, type NewEvent, Refused, type Tripline } from "../client/index.ts";
import { isUuid } from "../core/model/event.ts";
import { parseTime } from "../core/model/time.ts";
import { addConnection, asking, type ConnectionOptions } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { onOneLine } from "./output.ts";

interface EmitOptions extends ConnectionOptions {
  readonly event?: string;
  readonly name?: string;
  readonly resourceId?: string;
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
      "Send an event made from options; or the events of a file (JSON: one event or a list; or one event a line), " +
        "`-` for standard input. An id and a time are filled in where they are missing.",
    )
    .argument("[file]", "a file of events, or - for standard input")
    .option("-e, --event <name>", "the event's name, such as job.failed")
    .option("--name <name>", "the same")
    .option("-r, --resource-id <id>", "what it happened to: the label prefect.resource.id")
    .option("-l, --label <key=value>", "a label of that resource (may be repeated)", addLabel)
    .option(
      "--related <role=id[,key=value…]>",
      "another resource that took part, and its role (may be repeated)",
      addRelated,
    )
    .option("-p, --payload <json>", "a JSON object")
    .option(
      "-o, --occurred <time>",
      "when it happened: RFC 3339, such as 2026-03-01T09:30:00Z (default: now)",
    )
    .option("-f, --follows <id>", "the id of the event that this one follows")
    .option("--id <uuid>", "the event's id (default: a new one); the same id counts once")
    .option("-q, --quiet", "print nothing");
  return addConnection(command).action(async (file: string | undefined, options: EmitOptions) => {
    const drafts = file === undefined ? [fromOptions(options)] : await fromFile(file, options);
    await asking(options, async (tripline) => {
      // The server says what is wrong with them, if anything is.
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
      "What happened? Give --event NAME, or a file of events (- for standard input).",
      2,
    );
  }
  if (options.resourceId === undefined) {
    throw new CommandFailure("What did it happen to? Give --resource-id ID, such as job.nightly-backup.", 2);
  }
  for (const [option, id] of [
    ["--follows", options.follows],
    ["--id", options.id],
  ] as const) {
    if (id !== undefined && !isUuid(id)) throw new CommandFailure(`${option} is ${id}, which is no UUID.`, 2);
  }
  if (options.occurred !== undefined && parseTime(options.occurred) === null) {
    throw new CommandFailure(
      `--occurred is ${options.occurred}, which is no time; write it as 2026-03-01T09:30:00Z.`,
      2,
    );
  }
  return {
    event: name,
    resource: { "prefect.resource.id": options.resourceId, ...options.label },
    related: options.related ?? [],
    payload: options.payload === undefined ? {} : payloadOf(options.payload),
    ...(options.occurred === undefined ? {} : { occurred: options.occurred }),
    ...(options.id === undefined ? {} : { id: options.id }),
    ...(options.follows === undefined ? {} : { follows: options.follows }),
  };
}

function payloadOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new CommandFailure(`--payload is no JSON: ${(error as Error).message}`, 2, { cause: error });
  }
}

async function fromFile(file: string, options: EmitOptions): Promise<Draft[]> {
  if (options.event !== undefined || options.name !== undefined || options.resourceId !== undefined) {
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
    if (draft === undefined) throw new CommandFailure(`${place}: this line is no JSON; nothing was sent.`);
    return [asDraft(draft, place)];
  });
}

async function readFileOr(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    throw new CommandFailure(`${file} cannot be read: ${(error as Error).message}`, 1, { cause: error });
  }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function asDraft(value: unknown, place: string): Draft {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Draft;
  throw new CommandFailure(`${place}: an event is a JSON object; nothing was sent.`);
}

/** @throws CommandFailure */
async function send(tripline: Tripline, events: readonly NewEvent[]): Promise<EmittedEvent[]> {
  try {
    return await tripline.events.emit(events);
  } catch (error) {
    if (!(error instanceof Refused) || error.mistakes.length === 0) throw error;
    const lines = error.message.split("\n").map((line) => `  ${line}`);
    throw new CommandFailure(
      `The server refused it (${error.status}); nothing of this batch was stored:\n${lines.join("\n")}`,
      1,
      { cause: error },
    );
  }
}

function lineOf({ event, resource, id }: EmittedEvent): string {
  return onOneLine(`sent  ${event}  ${resource["prefect.resource.id"] ?? ""}  ${id}`);
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
  throw new CommandFailure(`${option} is ${JSON.stringify(text)}; write it as key=value.`, 2);
}
