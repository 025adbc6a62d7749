/** `tripline deliveries`: what became of actions, and another try for what failed. */

import { Argument, Command } from "commander";
import type { DeadLetter } from "../client/index.ts";
import { completeWith } from "./completable.ts";
import { addConnection, type ConnectionOptions, withServer } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addExamples } from "./help.ts";
import { readCount } from "./option-values.ts";
import { addOutput, type OutputOptions, print } from "./output/output.ts";
import { type Column, fields, table } from "./output/table.ts";
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

function columnsFor(view: View): Column<DeadLetter>[] {
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
    .description("Show one delivery with its attempts.")
    .addArgument(completeWith("deliveries", new Argument("<id>", "its id, which is also the webhook-id")));
  addConnection(addOutput(command));
  addExamples(command, [["tripline deliveries show 3861b6c1-e5ff-5050-8e65-beae8703cd72", "one delivery"]]);
  return command.action(async (id: string, options: Options) => {
    const delivery = await withServer(options, (tripline) => tripline.deliveries.get(id));
    print(delivery, options, (view) => deliveryText(delivery, view));
  });
}

function deliveryText(delivery: DeadLetter, view: View): string {
  const { attempts, automation, id, failed, reason, redeliveries, firing_id: firingId } = delivery;
  return [
    fields(
      [
        ["delivery", id],
        ["automation", automation.name],
        ["action", actionText(delivery)],
        ["failed", timeAndDistance(failed, view)],
        ["reason", reason],
        ["firing", firingId],
        ...(redeliveries === 0 ? [] : [["redelivered", String(redeliveries)] as const]),
      ],
      view,
    ),
    "",
    table(attemptColumns(view), attempts, view),
  ].join("\n");
}

type DeliveryAttempt = DeadLetter["attempts"][number];

function attemptColumns(view: View): Column<DeliveryAttempt>[] {
  return [
    { heading: "ATTEMPT", cell: ({ at }) => timeText(at, view) },
    { heading: "STATUS", cell: ({ status_code: status }) => String(status ?? "-") },
    { heading: "TOOK", cell: ({ duration_ms: ms }) => `${Math.round(ms)} ms`, alignRight: true },
    { heading: "REASON", cell: ({ reason }) => reason, widthMin: 20 },
  ];
}

function actionText({ action_index: index, action_type: type }: DeadLetter): string {
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
      const wanted = options.all === true ? await allIds(tripline.deliveries) : ids;
      for (const id of wanted) {
        await tripline.deliveries.redeliver(id);
        console.error(`Redelivering ${id}`);
      }
      if (wanted.length === 0) console.error("There are no dead letters.");
    });
  });
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
