/** `tripline deliveries`: what became of actions, and another try for what failed. */

import { Argument, Command, Option } from "commander";
import { type Delivery, type ListedState, NotFound, Refused, type Tripline } from "../client/index.ts";
import { isUuid } from "../core/model/event.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import {
  addSelection,
  isSelection,
  type Selection,
  selectDeliveries,
  selectionOf,
} from "./delivery-selection.ts";
import { CommandFailure } from "./failure.ts";
import { findId } from "./find-id.ts";
import { addExamples } from "./help.ts";
import { readCount } from "./option-values.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type Field, fields, type TableColumn, table } from "./output/table.ts";
import { printable, shortId } from "./output/text.ts";
import { timeAndDistance, timeText } from "./output/times.ts";
import type { View } from "./output/view.ts";

type Options = ConnectionOptions & OutputOptions;

export function deliveriesCommand(): Command {
  return new Command("deliveries")
    .description(
      "Show what became of actions, redeliver what failed, and cancel what is not wanted any more.",
    )
    .addCommand(listCommand())
    .addCommand(showCommand())
    .addCommand(redeliverCommand())
    .addCommand(cancelCommand());
}

const listedStates = ["waiting", "active", "retrying", "delivered", "dead"] as const;

function listCommand(): Command {
  const command = new Command("ls")
    .description(
      "List deliveries of one state, by default dead letters: deliveries that failed for good or were cancelled. The next " +
        "to be attempted comes first; of those that have ended, the latest. Those that wait, for a busy or resting endpoint " +
        "or for an earlier delivery, are listed with --state retrying.",
    )
    .addOption(new Option("--state <state>", "which ones").choices(listedStates).default("dead"))
    .option("-n, --limit <count>", "stop after this many deliveries", readCount, 50);
  addSelection(command);
  addConnection(addOutput(command));
  addExamples(command, [
    ["tripline deliveries ls", "what failed, and why"],
    ["tripline deliveries ls --state retrying", "what is tried again, and when"],
    [
      "tripline deliveries ls --state delivered --automation 'Pump went quiet' --since 1h",
      "of one automation",
    ],
  ]);
  return command.action(async (options: Options & Selection & { limit: number; state: ListedState }) => {
    const { state, limit } = options;
    const { deliveries, total, isAll } = await withServer(options, (tripline) =>
      selectDeliveries(tripline, { ...selectionOf(options), state }, limit),
    );
    const what = state === "dead" ? "dead letters" : `deliveries in the state ${state}`;
    print(deliveries, options, (view) =>
      deliveries.length === 0 ? `There are no ${what}.` : table(columnsFor(state, view), deliveries, view),
    );
    if (isAll || options.output !== "table") return;
    const rest = isSelection(options) ? "More" : `${total - deliveries.length} more`;
    console.error(`${rest} ${what} are not listed. Raise --limit.`);
  });
}

function columnsFor(state: ListedState, view: View): TableColumn<Delivery>[] {
  const time = (heading: string, timeIn: (delivery: Delivery) => string | null): TableColumn<Delivery> => ({
    heading,
    cell: (delivery) => timeText(timeIn(delivery), view),
    widthMin: 8,
  });
  const first: Partial<Record<ListedState, TableColumn<Delivery>[]>> = {
    dead: [
      time("FAILED", ({ failed }) => failed),
      { heading: "STATE", cell: (delivery) => delivery.state, style: () => "red" },
    ],
    delivered: [time("DELIVERED", ({ delivered }) => delivered)],
    retrying: [
      time("NEXT", ({ next_attempt: next }) => next),
      { heading: "STATE", cell: (delivery) => delivery.state, style: () => "yellow" },
    ],
  };
  const reason: TableColumn<Delivery> = {
    heading: "REASON",
    cell: (delivery) => delivery.reason ?? "-",
    style: () => "red",
    widthMin: 10,
  };
  const plain: TableColumn<Delivery> = {
    heading: "MESSAGE",
    cell: ({ template_failures: failures = [] }) => (failures.length === 0 ? "-" : "plain: template failed"),
    style: ({ template_failures: failures = [] }) => (failures.length === 0 ? "dim" : "yellow"),
  };
  return [
    ...(first[state] ?? []),
    { heading: "AUTOMATION", cell: ({ automation }) => automation.name, widthMin: 14 },
    { heading: "ACTION", cell: actionText, widthMin: 8 },
    { heading: "ATTEMPTS", cell: ({ attempt_count: count }) => String(count), alignRight: true },
    { heading: "ID", cell: ({ id }) => (view.brief ? shortId(id) : id) },
    ...(state === "delivered" ? [plain] : [reason]),
  ];
}

function showCommand(): Command {
  const command = new Command("show")
    .alias("inspect")
    .description(
      "Show one delivery in any state: waiting, retrying (with the time of the next attempt), deferred because its " +
        "endpoint is busy or rests, delivered, or dead; its attempts, and the last reason.",
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

/** @throws CommandFailure when there is no such delivery */
async function findDelivery(tripline: Tripline, id: string): Promise<Delivery> {
  const delivery = isUuid(id) ? await deliveryOrNull(tripline, id) : null;
  if (delivery !== null) return delivery;
  const found = await findId(tripline, id);
  const itself = found.kind === "delivery" ? await deliveryOrNull(tripline, found.id) : null;
  if (itself !== null) return itself;
  if (found.kind === "firing" || found.kind === "automation") {
    throw new CommandFailure(
      `This is the id of ${found.kind === "firing" ? "a firing" : "an automation"}, not of a delivery. ` +
        `To see its deliveries: tripline explain ${id}`,
    );
  }
  throw new CommandFailure(`There is no delivery ${id}. List dead letters with: tripline deliveries ls`);
}

async function deliveryOrNull(tripline: Tripline, id: string): Promise<Delivery | null> {
  try {
    return await tripline.deliveries.get(id);
  } catch (error) {
    if (error instanceof NotFound) return null;
    throw error;
  }
}

const stateStyles = {
  waiting: "yellow",
  active: "yellow",
  retrying: "yellow",
  deferred: "yellow",
  delivered: "green",
  dead: "red",
  cancelled: "red",
  unknown: "red",
} as const;

function deliveryText(delivery: Delivery, view: View): string {
  const { id, state, source, attempts, next_attempt: next, triggering_event_id: eventId } = delivery;
  const ended = delivery.delivered ?? delivery.failed;
  const rows: Field[] = [
    ["delivery", id],
    ["state", state === "dead" ? "dead letter" : state, stateStyles[state]],
    ["automation", delivery.automation.name],
    ["action", actionText(delivery)],
  ];
  if (delivery.target !== null) rows.push(["target", delivery.target]);
  if (ended !== null) rows.push(["ended", timeAndDistance(ended, view)]);
  const { attempt_count: count, early_count: early = 0 } = delivery;
  rows.push(["attempts", early === 0 ? String(count) : `${count}, ${early} of them before they were due`]);
  if (next !== null) rows.push(["next attempt", timeAndDistance(next, view)]);
  if (delivery.status_code !== null) rows.push(["status", String(delivery.status_code)]);
  if (delivery.reason !== null) rows.push(["reason", delivery.reason]);
  for (const { field, reason } of delivery.template_failures ?? [])
    rows.push(["template failed", `${field}: ${reason}`, "yellow"]);
  if (delivery.firing_id !== null) rows.push(["firing", delivery.firing_id]);
  rows.push(["event", eventId ?? "none: what was expected did not come in time"]);
  if (delivery.redeliveries > 0) rows.push(["redelivered", `${delivery.redeliveries} ×`]);
  const list = attempts.length === 0 ? [] : ["", table(attemptColumns(view), attempts, view)];
  const isKept = state === "dead" && source === "queue";
  const remedy = isKept ? ["", `To try again: tripline deliveries redeliver ${id}`] : [];
  return [fields(rows, view), ...list, ...remedy].join("\n");
}

type DeliveryAttempt = Delivery["attempts"][number];

function attemptColumns(view: View): TableColumn<DeliveryAttempt>[] {
  return [
    { heading: "ATTEMPT", cell: ({ at }) => timeText(at, view) },
    { heading: "STATUS", cell: ({ status_code: status }) => String(status ?? "-") },
    { heading: "TOOK", cell: ({ duration_ms: ms }) => `${Math.round(ms)} ms`, alignRight: true },
    { heading: "WHY", cell: ({ early }) => early ?? "due" },
    { heading: "ANSWER", cell: ({ reason, answer }) => reason ?? answer ?? "-", widthMin: 20 },
  ];
}

function actionText({
  action_index: index,
  action_type: type,
}: Pick<Delivery, "action_index" | "action_type">): string {
  return `${index} ${type}`;
}

function redeliverCommand(): Command {
  const command = new Command("redeliver")
    .description(
      "Give deliveries all their attempts again, as the present rule has it: dead letters, or by id any others. One that " +
        "waits is tried at once. The webhook-id stays the same.",
    )
    .addArgument(
      completeWith("deliveries", new Argument("[ids...]", "their ids, as in tripline deliveries ls")),
    )
    .option("--all", "all dead letters that there are now, except those that were cancelled")
    .option("--as-sent", "send what the rule said when it fired, not what it says now")
    .option("--even-if-outdated", "even if the target has accepted a later delivery about the same thing");
  addSelection(command);
  addConnection(command);
  addExamples(command, [
    ["tripline deliveries redeliver --all", "once the receiver works again"],
    ["tripline deliveries redeliver --target hooks.example.com --since 1d", "what one receiver missed"],
  ]);
  type RedeliverOptions = BulkOptions & { asSent?: true; evenIfOutdated?: true };
  return command.action(async (ids: string[], options: RedeliverOptions) => {
    const { asSent = false, evenIfOutdated = false } = options;
    await forEachWanted(ids, options, {
      states: ["dead"],
      order: "oldest first", // a target that has accepted the end of an alarm is not sent the alarm any more
      verb: "Redelivering",
      step: (tripline, id) => tripline.deliveries.redeliver(id, { asSent, evenIfOutdated }),
    });
  });
}

function cancelCommand(): Command {
  const command = new Command("cancel")
    .description("Cancel deliveries that have not ended. They can be redelivered.")
    .addArgument(
      completeWith(
        "deliveries",
        new Argument("[ids...]", "their ids, as in tripline deliveries ls --state retrying"),
      ),
    )
    .option("--all", "all deliveries that have not ended");
  addSelection(command);
  addConnection(command);
  addExamples(command, [
    ["tripline deliveries cancel --automation old-rule", "what a deleted rule left behind"],
  ]);
  return command.action(async (ids: string[], options: BulkOptions) => {
    await forEachWanted(ids, options, {
      states: ["waiting", "active", "retrying"], // the way that a delivery goes, so that none slips through
      order: "latest first", // or the end of the first would let the next one go out
      verb: "Cancelling",
      step: (tripline, id) => tripline.deliveries.cancel(id),
    });
  });
}

type BulkOptions = ConnectionOptions & Selection & { readonly all?: true };

interface Bulk {
  /** Where those come from that are not named. */
  readonly states: readonly ListedState[];
  /** How those are taken. Ids that are given are taken as they are given. */
  readonly order: "oldest first" | "latest first";
  readonly verb: string;
  readonly step: (tripline: Tripline, id: string) => Promise<void>;
}

/** Does something with the deliveries that the ids or the options name. Goes on after one that is refused. */
async function forEachWanted(ids: readonly string[], options: BulkOptions, bulk: Bulk): Promise<void> {
  const isNamed = ids.length > 0;
  const isSelected = options.all === true || isSelection(options);
  if (isNamed === isSelected) {
    throw new CommandFailure(
      "Give the ids of deliveries, or say which ones: --all, --automation, --target, --since.",
      2,
    );
  }
  const refusedCount = await withServer(options, async (tripline) => {
    const done = new Set<string>();
    let refused = 0;
    for (let pass = 0; pass < (isNamed ? 1 : passesMax); pass++) {
      const wanted = isNamed ? await wholeIds(tripline, ids) : await idsOf(tripline, options, bulk);
      const news = wanted.filter((id) => !done.has(id));
      if (news.length === 0) break;
      for (const id of news) {
        done.add(id);
        if (!(await takeStep(tripline, id, bulk))) refused += 1;
      }
    }
    if (done.size === 0) console.error("There are no such deliveries.");
    return refused;
  });
  if (refusedCount > 0) throw new CommandFailure(`${refusedCount} could not be done; see above.`);
}

/** The lists are read again until nothing new is in them: what comes and goes meanwhile hides others from a reader. */
const passesMax = 10;

function wholeIds(tripline: Tripline, ids: readonly string[]): Promise<string[]> {
  return Promise.all(ids.map(async (id) => (isUuid(id) ? id : (await findDelivery(tripline, id)).id)));
}

/** @returns false if the server refuses it */
async function takeStep(tripline: Tripline, id: string, { verb, step }: Bulk): Promise<boolean> {
  try {
    await step(tripline, id);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    console.error(printable(`Not ${verb.toLowerCase()} ${id}: ${error.message}`));
    return false;
  }
  console.error(`${verb} ${id}`);
  return true;
}

/** All are listed before the first is touched: each that leaves the list moves the others up. */
async function idsOf(
  tripline: Tripline,
  options: Selection,
  { states, order }: Pick<Bulk, "states" | "order">,
): Promise<readonly string[]> {
  const found = new Map<string, Delivery>();
  for (const state of states) {
    const { deliveries } = await selectDeliveries(tripline, { ...selectionOf(options), state }, Infinity);
    for (const delivery of deliveries) if (delivery.state !== "cancelled") found.set(delivery.id, delivery);
  }
  const oldestFirst = [...found.values()].sort(byFiring);
  return (order === "oldest first" ? oldestFirst : oldestFirst.reverse()).map(({ id }) => id);
}

/** The order in which they were to be delivered. Those of old versions do not say when they fired, and were before. */
function byFiring(a: Delivery, b: Delivery): number {
  const [fired, other] = [a.fired ?? "", b.fired ?? ""];
  if (fired !== other) return fired < other ? -1 : 1;
  return a.action_index - b.action_index;
}
