/** Which deliveries a command is about: those of an automation, of a target, of a time. */

import { type Command, Option } from "commander";
import type { Delivery, ListedState, Tripline } from "../client/index.ts";
import { completeWith } from "./completable.ts";
import { readMoment } from "./option-values.ts";

export interface Selection {
  readonly automation?: string;
  readonly target?: string;
  readonly since?: string;
  readonly until?: string;
}

export function addSelection(command: Command): Command {
  return command
    .addOption(
      completeWith("automations", new Option("-a, --automation <name>", "of this automation, by name or id")),
    )
    .option("--target <text>", "whose target contains this text")
    .addOption(
      new Option(
        "-s, --since <time>",
        "fired since this time (UTC without an offset), or a duration ago (90m, 1d)",
      ).argParser(readMoment),
    )
    .addOption(
      new Option(
        "--until <time>",
        "fired before this time (UTC without an offset), or a duration ago (90m, 1d)",
      ).argParser(readMoment),
    );
}

/** The parts of the selection that are given. */
export function selectionOf({ automation, target, since, until }: Selection): Selection {
  return {
    ...(automation === undefined ? {} : { automation }),
    ...(target === undefined ? {} : { target }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
}

export function isSelection(options: Selection): boolean {
  return Object.keys(selectionOf(options)).length > 0;
}

/** What the API returns at most. */
const pageLengthMax = 200;

/**
 * Reads pages until `limit` deliveries are found or the list ends.
 *
 * Deliveries that come and go meanwhile move the others along the list: none is returned twice, but one may be missing.
 */
export async function selectDeliveries(
  tripline: Tripline,
  selection: Selection & { readonly state: ListedState },
  limit: number,
): Promise<{ readonly deliveries: readonly Delivery[]; readonly total: number; readonly isAll: boolean }> {
  const found = new Map<string, Delivery>();
  for (let offset = 0; ; ) {
    const page = await tripline.deliveries.list({
      ...selection,
      limit: Math.min(limit - found.size, pageLengthMax),
      offset,
    });
    for (const delivery of page.deliveries) found.set(delivery.id, delivery);
    const { next_offset: next, total } = page;
    if (next === null) return { deliveries: [...found.values()], total, isAll: true };
    if (found.size >= limit) return { deliveries: [...found.values()], total, isAll: false };
    offset = next;
  }
}
