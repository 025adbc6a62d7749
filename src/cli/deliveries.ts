/** `tripline deliveries`: dead letters, shown and redelivered. */

import { Command, InvalidArgumentError } from "commander";
import type { DeadLetter } from "../client/index.ts";
import { cut } from "../core/model/cut.ts";
import { addConnection, asking, type ConnectionOptions } from "./connection.ts";
import { CommandFailure } from "./failure.ts";
import { addOutput, type OutputOptions, print, table } from "./output.ts";

type Options = ConnectionOptions & OutputOptions;

export function deliveriesCommand(): Command {
  return new Command("deliveries")
    .description("Dead letters: the deliveries that a running server has given up.")
    .addCommand(listCommand())
    .addCommand(inspectCommand())
    .addCommand(redeliverCommand());
}

const perPage = 200;

/** Of a reason, which may quote an answer at length, what fits on a line; `inspect` shows all of it. */
const reasonLengthMax = 100;

function listCommand(): Command {
  const command = new Command("ls")
    .description("List dead letters, the newest first.")
    .option("-n, --limit <count>", "how many at most", readCount, 50);
  return addOutput(addConnection(command)).action(async (options: Options & { limit: number }) => {
    const { deliveries, total } = await asking(options, (tripline) =>
      tripline.deliveries.list({ limit: Math.min(options.limit, perPage) }),
    );
    print(deliveries, options.output, () =>
      deliveries.length === 0
        ? "There are no dead letters."
        : table(
            ["FAILED", "AUTOMATION", "ACTION", "ATTEMPTS", "ID", "REASON"],
            deliveries.map((letter) => [
              letter.failed,
              letter.automation.name,
              `${letter.action_index} ${letter.action_type}`,
              String(letter.attempts.length),
              letter.id,
              cut(letter.reason, reasonLengthMax),
            ]),
          ),
    );
    if (total > deliveries.length && options.output === "table") {
      console.error(
        `${total - deliveries.length} older ones are not shown; see --limit (at most ${perPage}).`,
      );
    }
  });
}

function inspectCommand(): Command {
  const command = new Command("inspect")
    .description("Show a dead letter with its attempts.")
    .argument("<id>", "as tripline deliveries ls shows it; also the webhook-id");
  return addOutput(addConnection(command), "yaml").action(async (id: string, options: Options) => {
    const letter = await asking(options, (tripline) => tripline.deliveries.get(id));
    print(letter, options.output, () => asText(letter));
  });
}

function asText(letter: DeadLetter): string {
  const { attempts, automation, ...rest } = letter;
  const fields = Object.entries({ ...rest, automation: `${automation.name} (${automation.id})` });
  return [
    table(
      ["FIELD", "VALUE"],
      fields.map(([field, value]) => [field, String(value)]),
    ),
    "",
    table(
      ["ATTEMPT", "STATUS", "TOOK", "REASON"],
      attempts.map(({ at, status_code: status, duration_ms: ms, reason }) => [
        at,
        String(status ?? "-"),
        `${Math.round(ms)} ms`,
        reason,
      ]),
    ),
  ].join("\n");
}

function redeliverCommand(): Command {
  const command = new Command("redeliver")
    .description("Give dead letters all their attempts again, each under the same webhook-id.")
    .argument("[ids...]", "as tripline deliveries ls shows them")
    .option("--all", "all that there are now");
  return addConnection(command).action(async (ids: string[], options: ConnectionOptions & { all?: true }) => {
    if ((options.all === true) === ids.length > 0) {
      throw new CommandFailure("Which ones? Give their ids, or --all.", 2);
    }
    await asking(options, async (tripline) => {
      const wanted = options.all === true ? await allIds(tripline.deliveries) : ids;
      for (const id of wanted) {
        await tripline.deliveries.redeliver(id);
        console.error(`Redelivering ${id}`);
      }
      if (wanted.length === 0) console.error("There are no dead letters.");
    });
  });
}

/** Gathered before the first is redelivered: each that leaves moves the others up. */
async function allIds(deliveries: {
  list(page: { limit: number; offset: number }): Promise<{ deliveries: readonly DeadLetter[] }>;
}): Promise<string[]> {
  const ids = new Set<string>();
  for (let offset = 0; ; offset += perPage) {
    const page = await deliveries.list({ limit: perPage, offset });
    for (const { id } of page.deliveries) ids.add(id);
    if (page.deliveries.length < perPage) return [...ids];
  }
}

export function readCount(text: string): number {
  const count = Number(text);
  if (/^\d+$/.test(text) && count <= 1_000_000) return count;
  throw new InvalidArgumentError("It should be a whole number.");
}
