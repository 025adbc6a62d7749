/** The shards of a workspace: which engines are alive, which shard each owns, and how many there are. */

import { z } from "zod";
import { formatTime, millisecond } from "../../core/model/time.ts";
import { shardCountMax } from "../../store/shard-layout.ts";
import type { AskedShards, EnginesAndShards } from "../../store/shard-status.ts";
import { DetailSchema, TimeSchema } from "../http/answers.ts";
import { conflict } from "../http/refusal.ts";
import { jsonBody } from "../http/request-body.ts";
import { type Route, route } from "../http/route.ts";

const time = (description: string) => TimeSchema.meta({ format: "date-time", description });

const EngineMemberSchema = z
  .object({
    name: z.string().meta({ description: "Host, process, thread, and a random part: unique." }),
    since: time("When it joined."),
    alive_until: time("When it counts as dead without a further beat. It beats a few times a second."),
    shards: z.array(z.int()).meta({ description: "The shards that it owns." }),
  })
  .meta({ id: "EngineMember", description: "An engine that is alive." });

const ShardSchema = z
  .object({
    shard: z.int(),
    owner: z.string().nullable().meta({ description: "The engine that owns it; null if none does." }),
    since: time("Since when its owner owns it.").nullable(),
    epoch: z
      .int()
      .nullable()
      .meta({ description: "The number of its ownership, which grows with each; null if it had none." }),
    position: z.string().meta({ description: "The last entry of the log that it has consumed." }),
    watermark: time("How far log time has been consumed.").nullable(),
    entries_behind: z.int().meta({ description: "How many entries of the log it has yet to consume." }),
    delay_ms: z.number().meta({
      description: "How long the oldest of those, or the earliest window that is overdue, has been waiting.",
    }),
  })
  .meta({ id: "Shard", description: "A part of the workspace's automations, which one engine evaluates." });

export const ShardsSchema = z
  .object({
    count: z.int().meta({ description: "The number of shards; 0 if no engine has ever run." }),
    generation: z.int().meta({ description: "How often the number was changed." }),
    change: z
      .object({
        count: z.int().meta({ description: "The number that was asked for." }),
        since: time("When it was asked for."),
        failure: z
          .string()
          .nullable()
          .meta({ description: "Why it was given up; null while engines work on it." }),
      })
      .nullable()
      .meta({ description: "A change of the number that has not been made; null if there is none." }),
    engines: z.array(EngineMemberSchema),
    shards: z.array(ShardSchema),
  })
  .meta({ id: "Shards", description: "The engines and shards of a workspace." });

const ShardCountSchema = z
  .object({ count: z.int().min(1).max(shardCountMax).meta({ description: "The number of shards." }) })
  .meta({ id: "ShardCount" });

export function shardRoutes(): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/shards",
        id: "readShards",
        summary: "Read the engines and shards",
        description:
          "The automations of a workspace are divided into shards, and the engines that are alive share those: each has " +
          "one owner at a time.",
        tag: "server",
        scope: "automations:read",
        answers: { 200: { description: "As of now.", schema: ShardsSchema } },
      },
      async ({ tenant }, context) => context.json(viewOf(await tenant.log.shards.read())),
    ),

    route(
      {
        method: "put",
        path: "/shards",
        id: "changeShardCount",
        summary: "Change the number of shards",
        description:
          "The engines do it together: they stop at the same entry of the log, divide all windows anew, and continue. That " +
          "takes moments, in which events are accepted and wait. Nothing is lost or counted twice. Read the shards to see " +
          "when it is done. Asking for the present number withdraws a change that has not been made.",
        tag: "server",
        scope: "admin",
        body: jsonBody(ShardCountSchema, {
          examples: { six: { count: 6 } },
        }),
        answers: {
          202: { description: "The engines were asked to.", schema: ShardsSchema },
          409: {
            description: "No engine runs that can do it, or another number is being changed to.",
            schema: DetailSchema,
          },
        },
      },
      async ({ tenant, body: { count } }, context) => {
        const refusal = refusals[await tenant.log.shards.askFor(count)];
        if (refusal !== null) throw conflict(refusal);
        return context.json(viewOf(await tenant.log.shards.read()), 202);
      },
    ),
  ];
}

const refusals: Readonly<Record<AskedShards, string | null>> = {
  asked: null,
  same: null,
  other: "The number of shards is being changed to another one. Wait until that is done, or withdraw it",
  none: "No engine has ever run in this workspace. Its first start sets the number of shards: --shards",
  "no engine": "No engine is running that can change the number of shards. Start one with the role engine",
};

function viewOf(found: EnginesAndShards | null): z.input<typeof ShardsSchema> {
  if (found === null) return { count: 0, generation: 0, change: null, engines: [], shards: [] };
  const { layout, change, engines, shards } = found;
  return {
    ...layout,
    change: change === null ? null : { ...change, since: formatTime(change.since) },
    engines: engines.map(({ name, sinceMs, expiresMs }) => ({
      name,
      since: formatTime(sinceMs * millisecond),
      alive_until: formatTime(expiresMs * millisecond),
      shards: shards.filter(({ owner }) => owner === name).map(({ shard }) => shard),
    })),
    shards: shards.map(({ shard, owner, since, epoch, position, watermark, entriesBehind, delayMs }) => ({
      shard,
      owner,
      since: since === null ? null : formatTime(since),
      epoch,
      position,
      watermark: watermark === null ? null : formatTime(watermark),
      entries_behind: entriesBehind,
      delay_ms: delayMs,
    })),
  };
}
