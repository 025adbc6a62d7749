/** What a server runs with: versions, limits, and every setting, without secrets. */

import { z } from "zod";
import { consequencesPerAutomationMax, eventBytesMax, lineageLengthMax } from "../../core/model/limits.ts";
import { formatTime, type Micros, second } from "../../core/model/time.ts";
import { version } from "../../version.ts";
import { TimeSchema } from "../http/answers.ts";
import { type Route, route } from "../http/route.ts";
import type { Tenants } from "../http/tenant.ts";

const ShownSettingSchema = z
  .object({
    name: z.string().meta({ description: "As an option, such as `--history-max-age`." }),
    variable: z.string().meta({ description: "As a variable of the environment." }),
    description: z.string(),
    value: z.string().meta({ description: "As it would be written. Passwords in URLs are masked." }),
    default: z.string(),
    changed: z.boolean().meta({ description: "Whether the value differs from the default." }),
  })
  .meta({ id: "ShownSetting" });

export type ShownSetting = z.infer<typeof ShownSettingSchema>;

const seconds = (description: string) => z.number().meta({ description: `${description} In seconds.` });

export const ServerSettingsSchema = z
  .object({
    versions: z.object({
      tripline: z.string(),
      node: z.string(),
      redis: z.string().nullable().meta({ description: "Null if it does not say." }),
      history: z
        .string()
        .nullable()
        .meta({ description: "Such as `sqlite 3.50.4` or `postgresql 17.2`; null if no history is kept." }),
    }),
    workspace: z.string().meta({ description: "That of the request." }),
    workspaces: z.array(z.string()).meta({
      description:
        "Those that the caller may see: its key's own, or all of the server while it needs no key.",
    }),
    roles: z.array(z.string()).meta({ description: "What the process does." }),
    started: TimeSchema.meta({ description: "When the process started." }),
    retention: z.object({
      log_seconds: seconds("How much of the log is kept behind its readers."),
      history_seconds: seconds(
        "How long events are kept in the history; null if no age is too much.",
      ).nullable(),
      history_bytes: z
        .number()
        .nullable()
        .meta({ description: "How large the history may become; null if no size is too much." }),
      delivered_seconds: seconds("How long the queue knows a delivery that was made."),
      dead_letter_seconds: seconds("How long a dead letter is kept."),
    }),
    limits: z.object({
      lateness_seconds: seconds(
        "How long a window waits for late events, unless its trigger says otherwise.",
      ),
      give_up_after_seconds: seconds("How long a delivery is tried, unless its action says otherwise."),
      event_bytes: z.int().meta({ description: "The size of the largest event." }),
      chain_length: z.int().meta({ description: "How many firings may follow from each other." }),
      firings_per_cause: z.int().meta({
        description: "How often one automation may fire for the consequences of one event from outside.",
      }),
    }),
    canary_seconds: seconds("How often the canary is sent; null if it is turned off.").nullable(),
    telemetry: z
      .object({ traces: z.boolean(), metrics: z.boolean() })
      .meta({ description: "What is exported to OpenTelemetry." }),
    secrets_sealed: z
      .boolean()
      .meta({ description: "Whether secrets are encrypted before they are stored." }),
    settings: z.array(ShownSettingSchema).nullable().meta({
      description:
        "The settings of the process. They concern all workspaces, so only keys of the first one see them; null for others.",
    }),
  })
  .meta({ id: "ServerSettings", description: "What a server runs with. Nothing here is secret." });

/** What a server knows about itself. */
export interface ServerFacts {
  readonly startedAt: Micros;
  readonly workspaces: readonly string[];
  readonly roles: readonly string[];
  readonly settings: readonly ShownSetting[];
  /** May be infinite, as the next two. */
  readonly historyMaxAge: Micros;
  readonly historyMaxBytes: number;
  readonly logMargin: Micros;
  readonly deliveredSeconds: number;
  readonly deadLetterSeconds: number;
  readonly lateness: Micros;
  readonly giveUpAfter: Micros;
  /** 0: it is turned off. */
  readonly canaryEvery: Micros;
  readonly telemetry: { readonly traces: boolean; readonly metrics: boolean };
  readonly secretsSealed: boolean;
  /** Null if it does not say. @throws RedisUnreachable */
  readonly redisVersion: () => Promise<string | null>;
}

export function settingsRoutes(facts: ServerFacts, tenants: Tenants): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/settings",
        id: "readSettings",
        summary: "Read what the server runs with",
        description:
          "Versions, limits, how long things are kept, and the settings of the process that answers.",
        tag: "server",
        scope: "admin",
        answers: { 200: { description: "As of now.", schema: ServerSettingsSchema } },
      },
      async ({ tenant: { workspace, actor, history } }, context) => {
        const isOpen = actor.type === "no-key";
        const [redis, database] = await Promise.all([
          facts.redisVersion(),
          history === null ? null : history.databaseVersion(),
        ]);
        const answer: z.input<typeof ServerSettingsSchema> = {
          versions: { tripline: version, node: process.versions.node, redis, history: database },
          workspace,
          // The holder of a key must not learn which other workspaces exist.
          workspaces: isOpen ? [...facts.workspaces] : [workspace],
          settings: isOpen || workspace === tenants.first ? [...facts.settings] : null,
          ...answerOf(facts),
        };
        return context.json(answer);
      },
    ),
  ];
}

function answerOf(facts: ServerFacts) {
  return {
    roles: [...facts.roles],
    started: formatTime(facts.startedAt),
    retention: {
      log_seconds: facts.logMargin / second,
      history_seconds: unlessInfinite(facts.historyMaxAge / second),
      history_bytes: unlessInfinite(facts.historyMaxBytes),
      delivered_seconds: facts.deliveredSeconds,
      dead_letter_seconds: facts.deadLetterSeconds,
    },
    limits: {
      lateness_seconds: facts.lateness / second,
      give_up_after_seconds: facts.giveUpAfter / second,
      event_bytes: eventBytesMax,
      chain_length: lineageLengthMax,
      firings_per_cause: consequencesPerAutomationMax,
    },
    canary_seconds: facts.canaryEvery === 0 ? null : facts.canaryEvery / second,
    telemetry: facts.telemetry,
    secrets_sealed: facts.secretsSealed,
  };
}

function unlessInfinite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
