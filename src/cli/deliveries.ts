/** `tripline deliveries`: what became of actions, and another try for what failed. */

import { Argument, Command } from "commander";
import { type DeadLetter, NotFound, type ReceivedEvent, type Tripline } from "../client/index.ts";
import { isUuid } from "../core/model/event.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { deliveryEvents, type FoundFiring, findId } from "./find-id.ts";
import { addExamples } from "./help.ts";
import { readCount } from "./option-values.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type Field, fields, type TableColumn, table } from "./output/table.ts";
import { shortId } from "./output/text.ts";
import { timeAndDistance, timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions;

export function deliveriesCommand(): Command {
  return new Command("deliveries")
    .description("Show what became of actions, and redeliver what failed.")
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(redeliverCommand());
}

const pageLengthMax = 200;

function listCommand(): Command {
  const command = new Command("ls")
    .description("List dead letters: deliveries that used up their attempts. The newest come first.")
    .option("-n, --limit <count>", "stop after this many deliveries", readCount, 50);
  addConnection(addOutput(command));
  addExamples(command, [["tripline deliveries ls", "what failed, and why"]]);
  return command.action(async (options: Options & { limit: number }) => {
    const { deliveries, total } = await withServer(options, (tripline) =>
      tripline.deliveries.list({ limit: Math.min(options.limit, pageLengthMax) }),
    );
    print(deliveries, options, (view) =>
      deliveries.length === 0 ? "There are no dead letters." : table(columnsFor(view), deliveries, view),
    );
    if (total > deliveries.length && options.output === "table") {
      console.error(
        `${total - deliveries.length} older dead letters are not listed. Raise --limit (at most ${pageLengthMax}).`,
      );
    }
  });
}

function columnsFor(view: View): TableColumn<DeadLetter>[] {
  return [
    { heading: "FAILED", cell: ({ failed }) => timeText(failed, view), widthMin: 8 },
    { heading: "AUTOMATION", cell: ({ automation }) => automation.name, widthMin: 14 },
    { heading: "ACTION", cell: actionText, widthMin: 8 },
    { heading: "ATTEMPTS", cell: ({ attempts }) => String(attempts.length), alignRight: true },
    { heading: "ID", cell: ({ id }) => (view.brief ? shortId(id) : id) },
    { heading: "REASON", cell: ({ reason }) => reason, style: () => "red", widthMin: 10 },
  ];
}

function showCommand(): Command {
  const command = new Command("show")
    .alias("inspect")
    .description(
      "Show one delivery: whether it was delivered, is under way or is a dead letter, its attempts, and the reason.",
    )
    .addArgument(
      completeWith(
        "deliveries",
        new Argument("<id>", "its webhook-id, the beginning of it, or the id of an event about the delivery"),
      ),
    );
  addConnection(addOutput(command));
  addExamples(command, [
    ["tripline deliveries show 3861b6c1", "one delivery, by the beginning of its webhook-id"],
  ]);
  return command.action(async (id: string, options: Options) => {
    const delivery = await withServer(options, (tripline) => findDelivery(tripline, id));
    print(delivery, options, (view) => deliveryText(delivery, view));
  });
}

/** A delivery in any state. Attempts and the firing are known of dead letters only. */
type KnownDelivery = Omit<DeadLetter, "reason" | "failed" | "firing_id" | "redeliveries"> &
  Partial<Pick<DeadLetter, "firing_id" | "redeliveries">> & {
    readonly state: "under way" | "delivered" | "failed" | "dead letter";
    /** Why the last attempt failed; null when it is not known to have failed. */
    readonly reason: string | null;
    /** When it was delivered or given up; null while it is under way. */
    readonly ended: string | null;
    readonly attempt_count: number | null;
    readonly status_code: number | null;
  };

/** @throws CommandFailure when there is no such delivery */
async function findDelivery(tripline: Tripline, id: string): Promise<KnownDelivery> {
  const found = await findId(tripline, id);
  if (found.kind !== "delivery" && found.kind !== "event") {
    throw new CommandFailure(
      `This is the id of ${found.kind === "firing" ? "a firing" : "an automation"}, not of a delivery. ` +
        `To see its deliveries: tripline explain ${id}`,
    );
  }
  const letter = await deadLetter(tripline, found.id);
  if (letter !== null) {
    const { attempts, failed: ended } = letter;
    const status = attempts.at(-1)?.status_code ?? null;
    return { ...letter, state: "dead letter", ended, attempt_count: attempts.length, status_code: status };
  }
  const events = await deliveryEvents(tripline, found.id);
  const last = events.at(-1);
  if (found.kind === "event" || last === undefined) {
    throw new CommandFailure(`There is no delivery ${id}. List dead letters with: tripline deliveries ls`);
  }
  return fromLastEvent(found, last);
}

function fromLastEvent(
  { id, automation }: FoundFiring,
  { event, occurred, payload }: ReceivedEvent,
): KnownDelivery {
  const kind = event.split(".").at(-1);
  const { action_type: type, action_index: index, attempts, status_code: status, reason } = payload;
  return {
    id,
    state: kind === "executed" ? "delivered" : kind === "failed" ? "failed" : "under way",
    automation,
    action_type: String(type),
    action_index: Number(index),
    reason: typeof reason === "string" ? reason : null,
    ended: kind === "triggered" ? null : occurred,
    attempt_count: typeof attempts === "number" ? attempts : null,
    status_code: typeof status === "number" ? status : null,
    attempts: [],
  };
}

async function deadLetter(tripline: Tripline, id: string): Promise<DeadLetter | null> {
  try {
    return await tripline.deliveries.get(id);
  } catch (error) {
    if (error instanceof NotFound) return null;
    throw error;
  }
}

const stateStyles = {
  delivered: "green",
  "under way": "yellow",
  failed: "red",
  "dead letter": "red",
} as const;

function deliveryText(delivery: KnownDelivery, view: View): string {
  const { state, automation, id, ended, reason, attempts, attempt_count: attemptCount } = delivery;
  const rows: Field[] = [
    ["delivery", id],
    ["state", state, stateStyles[state]],
    ["automation", automation.name],
    ["action", actionText(delivery)],
  ];
  if (ended !== null) rows.push(["ended", timeAndDistance(ended, view)]);
  if (attemptCount !== null) rows.push(["attempts", String(attemptCount)]);
  if (delivery.status_code !== null) rows.push(["status", String(delivery.status_code)]);
  if (reason !== null) rows.push(["reason", reason]);
  if (delivery.firing_id !== undefined) rows.push(["firing", delivery.firing_id]);
  if ((delivery.redeliveries ?? 0) > 0) rows.push(["redelivered", `${delivery.redeliveries} ×`]);
  const list = attempts.length === 0 ? [] : ["", table(attemptColumns(view), attempts, view)];
  const remedy = state === "dead letter" ? ["", `To try again: tripline deliveries redeliver ${id}`] : [];
  return [fields(rows, view), ...list, ...remedy].join("\n");
}

type DeliveryAttempt = DeadLetter["attempts"][number];

function attemptColumns(view: View): TableColumn<DeliveryAttempt>[] {
  return [
    { heading: "ATTEMPT", cell: ({ at }) => timeText(at, view) },
    { heading: "STATUS", cell: ({ status_code: status }) => String(status ?? "-") },
    { heading: "TOOK", cell: ({ duration_ms: ms }) => `${Math.round(ms)} ms`, alignRight: true },
    { heading: "REASON", cell: ({ reason }) => reason, widthMin: 20 },
  ];
}

function actionText({
  action_index: index,
  action_type: type,
}: Pick<DeadLetter, "action_index" | "action_type">): string {
  return `${index} ${type}`;
}

function redeliverCommand(): Command {
  const command = new Command("redeliver")
    .description("Give dead letters all their attempts again. The webhook-id stays the same.")
    .addArgument(
      completeWith("deliveries", new Argument("[ids...]", "their ids, as in tripline deliveries ls")),
    )
    .option("--all", "all dead letters that there are now");
  addConnection(command);
  addExamples(command, [["tripline deliveries redeliver --all", "once the receiver works again"]]);
  return command.action(async (ids: string[], options: ConnectionOptions & { all?: true }) => {
    if ((options.all === true) === ids.length > 0) {
      throw new CommandFailure("Give the ids of dead letters, or --all.", 2);
    }
    await withServer(options, async (tripline) => {
      const dead =
        options.all === true || ids.some((id) => !isUuid(id)) ? await allIds(tripline.deliveries) : [];
      const wanted = options.all === true ? dead : ids.map((id) => (isUuid(id) ? id : wholeId(id, dead)));
      for (const id of wanted) {
        await tripline.deliveries.redeliver(id);
        console.error(`Redelivering ${id}`);
      }
      if (wanted.length === 0) console.error("There are no dead letters.");
    });
  });
}

/** @throws CommandFailure unless exactly one dead letter has an id that begins so */
function wholeId(beginning: string, ids: readonly string[]): string {
  const [id, ...others] = ids.filter((each) => each.startsWith(beginning.toLowerCase()));
  if (id !== undefined && others.length === 0) return id;
  const problem = id === undefined ? "No dead letter has" : `${others.length + 1} dead letters have`;
  throw new CommandFailure(
    `${problem} an id that begins with ${beginning}. List them with: tripline deliveries ls --wide`,
  );
}

/** All are listed before the first is redelivered: each that leaves the list moves the others up. */
async function allIds(deliveries: {
  list(page: { limit: number; offset: number }): Promise<{ deliveries: readonly DeadLetter[] }>;
}): Promise<string[]> {
  const ids = new Set<string>();
  for (let offset = 0; ; offset += pageLengthMax) {
    const page = await deliveries.list({ limit: pageLengthMax, offset });
    for (const { id } of page.deliveries) ids.add(id);
    if (page.deliveries.length < pageLengthMax) return [...ids];
  }
}
