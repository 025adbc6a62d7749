/** One event, and the chain that it is part of: what it follows, and what followed from it. */

import { z } from "zod";
import { isUuid, normalizeUuid, type ReceivedEvent, receivedEvent } from "../../core/model/event.ts";
import type { History } from "../../history/history.ts";
import { eventsNewestFirst } from "../explain/newest-first.ts";
import { jsonHeaders, jsonWithLists } from "../http/long-list.ts";
import { notFound, type Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";
import type { Workspace } from "../http/tenant.ts";
import { chainLimits, EventChainSchema, ReceivedEventSchema } from "./event-answers.ts";
import { behindHeaders, noHistory, recordedHistory } from "./recorded-history.ts";
import { untilRecorded } from "./until-recorded.ts";

/** An event may have over a megabyte; no page shows more than this of a chain. */
const chainLengthMax = 16_000_000;

/** An event that is not recorded is looked for among so many of the newest events in the log: about a second of work. */
const loggedCountMax = 100_000;

const byId = z.object({ id: z.string().meta({ description: "The event's id." }) });

/** The operations on one event. List them after those with another word in the place of the id. */
export function eventChainRoutes(): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/events/:id",
        id: "readEvent",
        summary: "Read an event",
        tag: "events",
        scope: "events:read",
        params: byId,
        answers: { 200: { description: "The event as it is stored.", schema: ReceivedEventSchema } },
      },
      async ({ tenant, params }, context) => {
        const id = eventIdOf(params.id);
        const event = await storedEvent(tenant, id);
        if (event === null) throw unknown(id);
        return context.json(event);
      },
    ),

    route(
      {
        method: "get",
        path: "/events/:id/chain",
        id: "eventChain",
        summary: "Read what an event follows, and what followed from it",
        description:
          "Goes along `follows` in both directions. Tripline's own events follow each other, so the descendants of an event " +
          "are also the firings that it caused, their deliveries, and what those emitted.",
        tag: "events",
        scope: "events:read",
        params: byId,
        answers: {
          200: { description: "The chain.", schema: EventChainSchema, headers: behindHeaders },
          404: { ...noHistory, description: "The history does not hold the event, or there is none." },
        },
      },
      async ({ tenant, params }, context) => {
        const id = eventIdOf(params.id);
        const history = await recordedHistory(tenant, context);
        const [event] = await history.eventsById([id]);
        if (event === undefined) throw unknown(id);
        const chain = new ChainText();
        await addAncestors(chain, history, event);
        await addDescendants(chain, history, event);
        return context.body(chain.about(event), 200, jsonHeaders);
      },
    ),
  ];
}

/** @throws Refusal 404 */
function eventIdOf(text: string): string {
  if (isUuid(text)) return normalizeUuid(text);
  const remedy = "GET /lookup finds an event by the first characters of its id";
  throw notFound(`Event not found: ${JSON.stringify(text)} is not the whole id of an event. ${remedy}`);
}

function unknown(id: string): Refusal {
  return notFound(
    `Event not found: nothing with the id ${id} was received, or it is older than what the history keeps`,
  );
}

/** The event as the history or, where it is not recorded yet, the log holds it. */
async function storedEvent({ log, history }: Workspace, id: string): Promise<ReceivedEvent | null> {
  if (history !== null) {
    const behindMs = await untilRecorded(log, history);
    const [found] = await history.eventsById([id]);
    if (found !== undefined || behindMs === 0) return found ?? null;
  }
  let searchedCount = 0;
  for await (const event of eventsNewestFirst(log)) {
    if (event.id === id) return receivedEvent(event);
    searchedCount += 1;
    if (searchedCount === loggedCountMax) break;
  }
  return null;
}

/** The answer as it grows. Each event is written once, and all together take no more than their limit. */
class ChainText {
  readonly #ancestors: string[] = [];
  readonly #descendants: string[] = [];
  #lengthLeft = chainLengthMax;
  isTruncated = false;

  /** @returns false if there is no more room */
  addAncestor(event: ReceivedEvent): boolean {
    return this.#add(this.#ancestors, chainLimits.ancestorCount, event);
  }

  /** @returns false if there is no more room */
  addDescendant(event: ReceivedEvent, parent: string, depth: number): boolean {
    return this.#add(this.#descendants, chainLimits.descendantCount, { event, parent, depth });
  }

  /** The chain of an event, as JSON. */
  about(event: ReceivedEvent): string {
    const ancestors = `[${this.#ancestors.toReversed().join(",")}]`;
    const descendants = `[${this.#descendants.join(",")}]`;
    return jsonWithLists({ event, truncated: this.isTruncated }, { ancestors, descendants });
  }

  #add(list: string[], countMax: number, value: unknown): boolean {
    const text = list.length < countMax ? JSON.stringify(value) : "";
    if (text === "" || text.length > this.#lengthLeft) {
      this.isTruncated = true;
      return false;
    }
    list.push(text);
    this.#lengthLeft -= text.length;
    return true;
  }
}

async function addAncestors(chain: ChainText, history: History, event: ReceivedEvent): Promise<void> {
  const seen = new Set([event.id]); // senders may write a circle
  for (let { follows } = event; follows !== null && !seen.has(follows); ) {
    seen.add(follows);
    const [ancestor] = await history.eventsById([follows]);
    if (ancestor === undefined || !chain.addAncestor(ancestor)) return;
    follows = ancestor.follows;
  }
}

async function addDescendants(chain: ChainText, history: History, event: ReceivedEvent): Promise<void> {
  const seen = new Set([event.id]);
  let parents = [event.id];
  for (let depth = 1; parents.length > 0; depth += 1) {
    const found: string[] = [];
    for (const parent of parents) {
      for await (const follower of history.eventsFollowing(parent)) {
        if (seen.has(follower.id)) continue;
        // One step beyond the last shows whether there is more.
        if (depth > chainLimits.depth) {
          chain.isTruncated = true;
          return;
        }
        if (!chain.addDescendant(follower, parent, depth)) return;
        seen.add(follower.id);
        found.push(follower.id);
      }
    }
    parents = found;
  }
}
