/** The map: which events set off which automations, and those which others, with what the history knows of them. */

import { z } from "zod";
import { isUuid, normalizeUuid } from "../../core/model/event.ts";
import type { Log } from "../../store/log.ts";
import { unknownAutomation } from "../automations/automations.ts";
import type { ExplainSettings } from "../explain/replay.ts";
import { RefusalSchema } from "../http/answers.ts";
import { jsonHeaders, jsonList, jsonWithLists } from "../http/long-list.ts";
import { type Route, route } from "../http/route.ts";
import { type AutomationMap, AutomationMapSchema } from "./map-answers.ts";
import { CachedMap } from "./map-cache.ts";
import { RepeatedCounts } from "./map-counts.ts";
import { MapView, mapLimits } from "./map-view.ts";

const MapQuerySchema = z.object({
  automation: z
    .string()
    .refine(isUuid, "automation should be the id of an automation, which is a UUID")
    .optional()
    .meta({
      description:
        "Only what is linked with the automation with this id, in at most two steps: what sets it off, what it sets off, and so on.",
    }),
});

/** What is remembered of a workspace. */
interface WorkspaceMap {
  readonly map: CachedMap;
  readonly counts: RepeatedCounts;
}

export function mapRoutes({ latenessDefault }: ExplainSettings): Route[] {
  const remembered = new WeakMap<Log, WorkspaceMap>();
  const of = (log: Log): WorkspaceMap => {
    const known = remembered.get(log) ?? {
      map: new CachedMap(latenessDefault),
      counts: new RepeatedCounts(log),
    };
    remembered.set(log, known);
    return known;
  };

  return [
    route(
      {
        method: "get",
        path: "/map",
        id: "readMap",
        summary: "Map what sets off what",
        description:
          "Which events automations wait for, which automations set off others, and which can never fire: what `tripline check` " +
          "finds out about rules, for all automations of the workspace. Links are those that are certain from the definitions. " +
          "Counts come from the history, and may be some seconds old. " +
          `At most ${mapLimits.automations} automations and ${mapLimits.links} links are shown.`,
        tag: "explain",
        scope: "automations:read",
        query: MapQuerySchema,
        answers: {
          200: { description: "The map.", schema: AutomationMapSchema },
          404: { description: "There is no automation with this id.", schema: RefusalSchema },
        },
      },
      async ({ tenant: { log, history }, query: { automation } }, context) => {
        const { map: maps, counts } = of(log);
        const automations = (await log.automations()).sort((a, b) => (a.name < b.name ? -1 : 1));
        const id = automation === undefined ? null : normalizeUuid(automation);
        const center = id === null ? null : automations.findIndex((each) => each.id === id);
        if (center === -1) throw unknownAutomation();
        const map = await maps.of(automations);
        const counted = history === null ? null : await counts.read(history);
        const view = await new MapView(map, counted).show(center, await log.hooks.list());
        return context.body(await jsonOf(view), 200, jsonHeaders);
      },
    ),
  ];
}

/** The answer as JSON, written in slices: it may be some megabytes long. */
async function jsonOf({ truncated, ...lists }: AutomationMap): Promise<string> {
  const written: Record<string, string> = {};
  for (const [name, items] of Object.entries(lists)) {
    written[name] = await jsonList<unknown>(items, (item) => item);
  }
  return jsonWithLists({ truncated }, written);
}
