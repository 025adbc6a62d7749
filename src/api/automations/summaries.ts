/** Automations as a page lists them: what each is, what it did within a day, and what it waits for; searched and sorted. */

import { z } from "zod";
import { nothingOpen, type OpenNumbers } from "../../core/machine/open-count.ts";
import type { Automation } from "../../core/model/automation.ts";
import { formatTime, hour, type Micros, millisecond } from "../../core/model/time.ts";
import { type AutomationActivity, noActivity } from "../../history/activity.ts";
import type { History } from "../../history/history.ts";
import { breathe, mapInSlices } from "../../retry/slices.ts";
import { isHistoryUnavailable } from "../events/events.ts";
import { IdSchema, TimeSchema } from "../http/answers.ts";
import { RecentAnswers } from "../http/recent-answers.ts";
import { type Route, route } from "../http/route.ts";
import type { Workspace } from "../http/tenant.ts";

const bucketCount = 24;

const SummarySchema = z
  .object({
    id: IdSchema,
    name: z.string(),
    description: z.string(),
    enabled: z.boolean(),
    tags: z.array(z.string()),
    file: z.string().nullable().meta({ description: "The rule file that defines it; null if none does." }),
    line: z
      .int()
      .nullable()
      .meta({ description: "The line of the file on which it begins, if that is known." }),
    last_fired: TimeSchema.nullable().meta({
      description: "When it last fired or was resolved; null if the history knows of no such time.",
    }),
    last_state: z
      .enum(["Triggered", "Resolved"])
      .nullable()
      .meta({ description: "Which of the two that was." }),
    firings: z.array(z.int()).meta({ description: "How often it fired in each of the last 24 hours." }),
    resolutions: z.int(),
    executed: z.int().meta({ description: "Deliveries that were made within 24 hours." }),
    failed: z.int().meta({ description: "Deliveries that failed for good within 24 hours." }),
    open_windows: z.int().meta({ description: "At most some seconds old." }),
    unresolved: z.int().meta({ description: "How many of the windows are silent now." }),
  })
  .meta({ id: "AutomationSummary" });

export const SummariesSchema = z
  .object({
    automations: z.array(SummarySchema),
    matching: z.int().meta({ description: "How many automations match." }),
    total: z.int().meta({ description: "How many there are." }),
    tags: z
      .array(z.object({ tag: z.string(), count: z.int() }))
      .meta({ description: "The tags of all automations, the most frequent first; 100 at most." }),
    next_offset: z.int().nullable().meta({ description: "The `offset` of the next page; null on the last." }),
  })
  .meta({ id: "AutomationSummaries" });

type Summary = z.infer<typeof SummarySchema>;

const tagsListedMax = 100;
const summariesPerPageMax = 200;

const sorts = ["name", "silent", "fired", "firings", "open", "failed"] as const;

const wholeNumber = (max: number) => z.coerce.number().pipe(z.int().min(0).max(max));

const SummariesQuerySchema = z.object({
  search: z.string().max(200).default("").meta({
    description:
      "Only those with this text in their name, description, file, or the events that they ask for.",
  }),
  tag: z.string().optional().meta({ description: "Only those with this tag." }),
  state: z.enum(["enabled", "paused"]).optional(),
  sort: z
    .enum(sorts)
    .default("name")
    .meta({
      description:
        "What comes first: `name` by name; `silent` those with the most that is silent; `fired` those that fired last; " +
        "`firings` those that fired most often, `open` those with the most open windows, and `failed` those with the most " +
        "failed deliveries.",
    }),
  limit: wholeNumber(summariesPerPageMax).default(100),
  offset: wholeNumber(1_000_000).default(0),
});

type SummariesQuery = z.infer<typeof SummariesQuerySchema>;

/** What is searched and sorted: all automations of a workspace. */
interface Listed {
  readonly automation: Automation;
  /** What a search looks through, in lower case. */
  readonly searched: string;
  readonly activity: AutomationActivity;
  readonly windows: OpenNumbers;
}

/** Pages ask every few seconds. Of thousands of automations, it takes longer to put this together, and then it is kept for longer. */
const rememberedMs = 2_000;

/** The operation that lists. Mount it before those with an id in the same place of the path. */
export function summaryRoutes(): Route[] {
  const all = new RecentAnswers<readonly Listed[]>(rememberedMs);
  return [
    route(
      {
        method: "get",
        path: "/automations/summaries",
        id: "automationSummaries",
        summary: "List automations with what they did within a day, and what they wait for",
        description:
          "Without a history, nothing is known of what they did. Processes remember what they found for 2 seconds.",
        tag: "automations",
        scope: "automations:read",
        query: SummariesQuerySchema,
        answers: { 200: { description: "A page of them.", schema: SummariesSchema } },
      },
      async ({ tenant, query }, context) => {
        const listed = await all.get(tenant.workspace, () => listAll(tenant));
        const matching = listed.filter((entry) => isWanted(entry, query)).sort(orders[query.sort]);
        const page = matching.slice(query.offset, query.offset + query.limit);
        const end = query.offset + page.length;
        return context.json({
          automations: await summariesOf(page, tenant),
          matching: matching.length,
          total: listed.length,
          tags: tagsOf(listed),
          next_offset: end < matching.length && page.length > 0 ? end : null,
        } satisfies z.infer<typeof SummariesSchema>);
      },
    ),
  ];
}

async function listAll({ log, history }: Workspace): Promise<readonly Listed[]> {
  const [automations, windows] = await Promise.all([log.automations(), log.numbers.openCounts()]);
  const activity = history === null ? null : await activityOf(history, automations);
  return mapInSlices(automations, (automation) => ({
    automation,
    searched: searchedIn(automation).toLowerCase(),
    activity: activity?.get(automation.id) ?? noActivity({ bucketCount }),
    windows: windows.get(automation.id) ?? nothingOpen,
  }));
}

/** What they did within a day; null while the history is unavailable. */
async function activityOf(
  history: History,
  automations: readonly Automation[],
): Promise<ReadonlyMap<string, AutomationActivity> | null> {
  const since = Date.now() * millisecond - bucketCount * hour;
  const ids = automations.map(({ id }) => id);
  try {
    return await history.activityOf(ids, { since, bucketLength: hour, bucketCount });
  } catch (error) {
    if (isHistoryUnavailable(error)) return null;
    throw error;
  }
}

function searchedIn(automation: Automation): string {
  const { name, description, trigger } = automation;
  return [name, description, fileOf(automation) ?? "", ...namesIn(trigger)].join("\n");
}

function namesIn(trigger: Automation["trigger"]): readonly string[] {
  if (trigger.type === "event") return [...trigger.expect, ...trigger.after];
  return trigger.triggers.flatMap(namesIn);
}

function fileOf({ source }: Automation): string | null {
  return source.kind === "file" ? source.file : (source.applied?.file ?? null);
}

function isWanted({ automation, searched }: Listed, { search, tag, state }: SummariesQuery): boolean {
  return (
    searched.includes(search.trim().toLowerCase()) &&
    (tag === undefined || automation.tags.includes(tag)) &&
    (state === undefined || automation.enabled === (state === "enabled"))
  );
}

type SummaryOrder = (a: Listed, b: Listed) => number;

const byName: SummaryOrder = ({ automation: a }, { automation: b }) =>
  a.name < b.name ? -1 : a.name > b.name ? 1 : 0;

function mostOf(numberOf: (entry: Listed) => number): SummaryOrder {
  return (a, b) => numberOf(b) - numberOf(a) || byName(a, b);
}

const orders: Readonly<Record<(typeof sorts)[number], SummaryOrder>> = {
  name: byName,
  silent: mostOf(({ windows }) => windows.unresolved),
  fired: mostOf(({ activity }) => activity.lastFired ?? 0),
  firings: mostOf(({ activity }) => activity.firings.reduce((sum, count) => sum + count, 0)),
  open: mostOf(({ windows }) => windows.open),
  failed: mostOf(({ activity }) => activity.failed),
};

async function summariesOf(page: readonly Listed[], { log }: Workspace): Promise<Summary[]> {
  const lines = new Map<string, number>();
  const withFile = page.filter(({ automation }) => fileOf(automation) !== null);
  for (const [id, { line }] of await log.rules.texts(withFile.map(({ automation }) => automation.id))) {
    await breathe();
    lines.set(id, line);
  }
  return page.map(({ automation, activity, windows }) => {
    const { id, name, description, enabled, tags } = automation;
    const { lastFired, lastState, ...counts } = activity;
    return {
      id,
      name,
      description,
      enabled,
      tags: [...tags],
      file: fileOf(automation),
      line: lines.get(id) ?? null,
      last_fired: timeOrNull(lastFired),
      last_state: lastState,
      ...counts,
      open_windows: windows.open,
      unresolved: windows.unresolved,
    };
  });
}

function timeOrNull(time: Micros | null): string | null {
  return time === null ? null : formatTime(time);
}

function tagsOf(listed: readonly Listed[]): { tag: string; count: number }[] {
  const counts = new Map<string, number>();
  for (const { automation } of listed)
    for (const tag of automation.tags) counts.set(tag, (counts.get(tag) ?? 0) + 1);
  return [...counts]
    .map(([tag, count]) => ({ tag, count }))
    .sort((a, b) => b.count - a.count || (a.tag < b.tag ? -1 : 1))
    .slice(0, tagsListedMax);
}
