/** Open windows: those of one automation, and those of all. */

import { z } from "zod";
import { Core } from "../../core/machine/core.ts";
import { showWindow } from "../../core/machine/explain.ts";
import type { OpenWindow } from "../../core/machine/node.ts";
import type { OpenNumbers } from "../../core/machine/open-count.ts";
import { formatTime, type Micros } from "../../core/model/time.ts";
import { finishInSlices } from "../../retry/slices.ts";
import type { Log } from "../../store/log.ts";
import { automationOf } from "../automations/automations.ts";
import { jsonHeaders, jsonList, jsonWithLists } from "../http/long-list.ts";
import { type Route, route } from "../http/route.ts";
import { containing, earliestWindows, type UnresolvedFilter, windowsWanted } from "./earliest-windows.ts";
import { AllWindowsSchema, WindowCountsSchema, WindowsSchema } from "./explain-answers.ts";
import { openWindowsOf } from "./open-windows.ts";
import type { ExplainSettings } from "./replay.ts";

/** An answer with a million windows would have hundreds of megabytes. */
const windowsPerAnswerMax = 10_000;
const listedWindowsMax = 1_000;
/** How many windows of all automations are read, and how many names are looked at for them. */
const readWindowsMax = 10_000;
const lookedAtMax = 200_000;
const searchLengthMax = 500;

const UnresolvedSchema = z.enum(["true", "false", "any"]);

const SearchSchema = z.string().max(searchLengthMax).default("").meta({
  description:
    "Only windows with this text in a value of their key, such as part of a resource id; in any case.",
});

const WindowsQuerySchema = z.object({
  limit: z.coerce
    .number()
    .pipe(z.int().min(0).max(windowsPerAnswerMax))
    .default(1_000)
    .meta({ description: "How many windows to return at most: those that are judged next." }),
  unresolved: UnresolvedSchema.default("any").meta({
    description: "`true`: only windows whose absence has fired and has not ended. `false`: only the others.",
  }),
  search: SearchSchema,
});

const AllWindowsQuerySchema = z.object({
  limit: z.coerce
    .number()
    .pipe(z.int().min(0).max(listedWindowsMax))
    .default(100)
    .meta({ description: "How many windows to return at most: those that are judged next." }),
  unresolved: UnresolvedSchema.default("true").meta({
    description:
      "`true`: what is silent now, that is, windows whose absence has fired and has not ended. `false`: only the " +
      "others. `any`: all.",
  }),
  search: SearchSchema,
});

const byId = z.object({ id: z.string().meta({ description: "The automation's id." }) });

/** A window with the automation that it belongs to. */
interface WindowOfAutomation extends OpenWindow {
  readonly automation: { readonly id: string; readonly name: string };
}

export function windowRoutes(settings: ExplainSettings): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/automations/:id/windows",
        id: "automationWindows",
        summary: "List the open windows of an automation",
        tag: "explain",
        scope: "automations:read",
        params: byId,
        query: WindowsQuerySchema,
        answers: { 200: { description: "The next window to be judged comes first.", schema: WindowsSchema } },
      },
      async ({ tenant: { log }, params, query: { limit, ...filter } }, context) => {
        const automation = await automationOf(log, params.id);
        const { asOf, windows: open } = await openWindowsOf(log, automation.id, settings);
        const { count, windows } = await earliestWindows(open, limit, windowsWanted(filter));
        const { id, name, enabled } = automation;
        const about = {
          automation: { id, name, enabled },
          as_of: asOf === null ? null : formatTime(asOf),
          count,
        };
        const list = await jsonList(windows, showWindow);
        return context.body(jsonWithLists(about, { windows: list }), 200, jsonHeaders);
      },
    ),

    route(
      {
        method: "get",
        path: "/windows",
        id: "listWindows",
        summary: "List what is silent now: unresolved windows of all automations",
        description:
          "What became silent in the last two seconds may be missing. Of very many windows, up to " +
          `${readWindowsMax} are read; then the answer is truncated, and those that are judged next may not all be ` +
          "among them.",
        tag: "explain",
        scope: "automations:read",
        query: AllWindowsQuerySchema,
        answers: {
          200: { description: "The next window to be judged comes first.", schema: AllWindowsSchema },
        },
      },
      async ({ tenant: { log }, query: { limit, ...filter } }, context) => {
        const known = countsOf(await log.numbers.openTotals(), filter.unresolved);
        const { shards, isCut } = await log.numbers.windowStates({
          shards: known.flatMap((count, shard) => (count === 0 ? [] : [shard])),
          unresolvedOnly: filter.unresolved === "true",
          accepts: containing(filter.search),
          countMax: readWindowsMax,
          lookMax: lookedAtMax,
        });
        const cores: Core[] = [];
        for (const fields of shards) {
          cores.push(await finishInSlices(Core.restoreInSteps(fields, { ...settings, stored: false })));
        }
        const found = await earliestWindows(windowsIn(cores), limit, windowsWanted(filter));
        // What was not looked at is known in number, unless a text was searched for.
        const knownCount = filter.search === "" ? known.reduce((sum, count) => sum + count, 0) : 0;
        const count = isCut ? Math.max(found.count, knownCount) : found.count;
        const asOf = cores.length === 0 ? await consumedUntil(log) : earliestOf(cores);
        const about = {
          as_of: asOf === null ? null : formatTime(asOf),
          count,
          truncated: isCut || count > found.windows.length,
        };
        const list = await jsonList(found.windows, shownOfAutomation);
        return context.body(jsonWithLists(about, { windows: list }), 200, jsonHeaders);
      },
    ),

    route(
      {
        method: "get",
        path: "/windows/counts",
        id: "countWindows",
        summary: "Count the open windows of each automation",
        description: "At most two seconds old. Automations without open windows are left out.",
        tag: "explain",
        scope: "automations:read",
        answers: { 200: { description: "By the id of the automation.", schema: WindowCountsSchema } },
      },
      async ({ tenant: { log } }, context) => {
        const counts = [...(await log.numbers.openCounts())].sort(([a], [b]) => (a < b ? -1 : 1));
        const list = await jsonList(counts, ([id, numbers]) => ({ automation_id: id, ...numbers }));
        return context.body(list, 200, jsonHeaders);
      },
    ),
  ];
}

/** How many windows of each shard a filter wants. */
function countsOf(totals: readonly OpenNumbers[], wanted: UnresolvedFilter): readonly number[] {
  return totals.map(
    ({ open, unresolved }) => ({ true: unresolved, false: open - unresolved, any: open })[wanted],
  );
}

/** Without the events that wait, which are not read. */
function shownOfAutomation({ automation, ...window }: WindowOfAutomation) {
  const { settling, ...shown } = showWindow(window);
  return { automation, ...shown };
}

function* windowsIn(cores: readonly Core[]): Iterable<WindowOfAutomation> {
  for (const core of cores) {
    for (const { id, name } of core.automations()) {
      for (const window of core.windowsOf(id)) yield { ...window, automation: { id, name } };
    }
  }
}

function earliestOf(cores: readonly Core[]): Micros {
  return Math.min(...cores.map(({ watermark }) => watermark));
}

/** How far all shards have consumed log time; null if one has consumed nothing yet, or there is none. */
async function consumedUntil(log: Log): Promise<Micros | null> {
  const watermarks = (await log.shardStatus()).map(({ watermark }) => watermark);
  if (watermarks.length === 0 || watermarks.includes(null)) return null;
  return Math.min(...watermarks.map(Number));
}
