/** Starts what one thread of a server does, in all workspaces. */

import type { Logger } from "pino";
import type { Metrics } from "../api/http/metrics.ts";
import { connect, type RedisConnection } from "../store/connection.ts";
import { PassedEntries, PassOn } from "../store/passed-entries.ts";
import { startTelemetry, type TelemetryLogger } from "../telemetry/telemetry.ts";
import type { Tracer } from "../telemetry/tracer.ts";
import { version } from "../version.ts";
import { CommandFailure } from "./failure.ts";
import type { Running } from "./running.ts";
import { boxHere } from "./secret-box-here.ts";
import { openSharedHistory } from "./serve-history.ts";
import { type MainThreadOptions, type ServedWorkspace, serveWorkspace } from "./serve-workspace.ts";
import type { Role, Settings } from "./settings.ts";
import type { ThreadPassing } from "./threads/passing.ts";

/** The started roles of a thread. */
export interface ServedPart {
  readonly redis: RedisConnection;
  /** One or more. */
  readonly served: readonly [ServedWorkspace, ...ServedWorkspace[]];
  readonly metrics: Metrics;
  readonly tracer: Tracer | null;
  /** Resolves once each shard that is evaluated in this thread has an owner. */
  readonly enginesReady: Promise<unknown>;
}

export interface ServePartOptions {
  /** Those of the whole process. */
  readonly settings: Settings;
  /** What this thread does. */
  readonly roles: readonly Role[];
  /** What the main thread knows of the others, and its connection to Redis; null in those. */
  readonly main: (MainThreadOptions & { readonly redis: RedisConnection }) | null;
  /** Between this thread and others that read the same logs; null if there are none. */
  readonly passing: ThreadPassing | null;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly telemetryLogger: TelemetryLogger;
  /** Every started part is added to it. */
  readonly running: Running;
}

/** @throws RedisUnreachable, HistoryUnavailable, HistoryMisconfigured, TelemetryUnavailable */
export async function startPart(options: ServePartOptions): Promise<ServedPart> {
  const { settings, roles, main, passing, logger, metrics, running } = options;
  const telemetry = await startTelemetry({
    env: process.env,
    metrics: main === null ? null : metrics,
    logger: options.telemetryLogger,
    version,
  });
  running.add(() => telemetry.stop());
  const { tracer } = telemetry;
  let redis = main?.redis;
  if (redis === undefined) {
    const own = connect(settings.redis); // the main thread reports outages
    running.add(async () => own.disconnect());
    redis = own;
  }
  // The main thread watches the history for those that write it.
  const historyRoles = main === null ? roles : settings.roles;
  const history = await openSharedHistory(settings, historyRoles, running, logger, main !== null);
  const secretBox = boxHere();
  const passed = passing?.from == null ? null : new PassedEntries(passing.from);
  const served: ServedWorkspace[] = [];
  for (const workspace of settings.workspace) {
    served.push(
      await serveWorkspace(workspace, {
        settings,
        roles,
        main,
        passOn: passing === null || passing.to.length === 0 ? null : new PassOn(passing.to, workspace),
        passed: passed?.inWorkspace(workspace) ?? null,
        redis,
        secretBox,
        history,
        metrics,
        tracer,
        logger,
        running,
      }),
    );
  }
  const [first, ...others] = served;
  if (first === undefined) throw new CommandFailure("Name a workspace to serve: --workspace default");
  const enginesReady = Promise.all(served.map(({ engine }) => engine?.ready));
  return { redis, served: [first, ...others], metrics, tracer, enginesReady };
}
