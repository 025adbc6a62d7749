/** The history of a server: opened once for all workspaces, and written by the role `recorder`. */

import type { Logger } from "pino";
import { RejectionReports, rejectedEvent } from "../api/ingest/rejected-events.ts";
import type { WireEvent } from "../core/model/event.ts";
import { millisecond } from "../core/model/time.ts";
import { HistoryHealth } from "../history/health.ts";
import type { History } from "../history/history.ts";
import { Recorder } from "../history/recorder.ts";
import { decodeStoredEvent } from "../store/entry.ts";
import type { Log } from "../store/log.ts";
import type { EntrySource } from "../store/passed-entries.ts";
import { withoutPassword } from "../store/redis-url.ts";
import { Trimmer } from "../store/trimmer.ts";
import type { Running } from "./running.ts";
import type { Role, Settings } from "./settings.ts";

/**
 * Opens the history that the settings name, if one of the roles needs it. Null if there is none.
 *
 * @throws HistoryUnavailable, HistoryMisconfigured
 */
export async function openSharedHistory(
  { historyUrl, workspace }: Settings,
  roles: readonly Role[],
  running: Running,
  logger: Logger,
  isMainThread: boolean,
): Promise<History | null> {
  if (historyUrl === "off" || !(roles.includes("api") || roles.includes("recorder"))) return null;
  const onLost = (reason: string) =>
    logger.error(
      { reason, history: withoutPassword(historyUrl) },
      "The history was lost while the server ran; opening it again. It gets the events that the log still holds",
    );
  const { openHistory } = await import("../history/history.ts"); // only the threads that need it load it
  const history = await openHistory({
    url: historyUrl,
    workspace: workspace[0] ?? "default",
    onLost,
    isOnThisThread: !isMainThread && roles.every((role) => role === "recorder"),
  });
  running.add(() => history.close());
  return history;
}

/** Counts failures of the recorder and trimmed entries, and shows the health of the history. */
export interface HistoryMeter {
  recorderFailed(): void;
  /** The history's database refused an event. */
  eventUnrecorded(): void;
  trimmed(entryCount: number): void;
  /** @param health asked for each scrape */
  observeHistory(health: () => Pick<HistoryHealth, "problem" | "behindMs">): void;
}

interface RecordingOptions {
  readonly workspace: string;
  readonly settings: Settings;
  readonly logger: Logger;
  readonly meter: HistoryMeter;
  readonly running: Running;
  /** Has what another thread has read of the log; null if none passes it on. */
  readonly passed: EntrySource | null;
}

/**
 * Watches the history, in every process that reads or writes it.
 *
 * @param recorderFailure of the recorder of this process: see `Recorder.failure`
 */
export function watchHistory(
  log: Log,
  history: History,
  recorderFailure: () => unknown,
  { logger, meter, running }: Omit<RecordingOptions, "settings" | "workspace" | "passed">,
): HistoryHealth {
  const health = new HistoryHealth(history, log, {
    recorderFailure,
    onChange: (problem) => {
      if (problem === null) logger.info({}, "The history is up to date again");
      else logger.error({ problem }, "The history is degraded; events are still accepted and evaluated");
    },
  });
  health.start();
  running.add(() => health.stop());
  meter.observeHistory(() => health);
  return health;
}

/**
 * Starts the work of the role `recorder`: it copies the log into the history, deletes old events there, and trims the log
 * behind its readers.
 *
 * @param history null if nothing is recorded; the log is trimmed nevertheless
 * @returns null if nothing is recorded
 */
export function startRecording(
  log: Log,
  history: History | null,
  options: RecordingOptions,
): Recorder | null {
  const { settings, logger, meter, running } = options;
  const recorder = history === null ? null : startRecorder(log, history, options);
  const trimmer = new Trimmer(log, {
    margin: settings.logMargin,
    ...(history === null ? {} : { recordedPosition: () => history.recordedPosition() }),
    onTrimmed: (entryCount) => {
      meter.trimmed(entryCount);
      logger.debug({ entryCount }, "Trimmed the log");
    },
    onError: (error) => logger.warn({ err: error }, "Could not trim the log; retrying"),
  });
  trimmer.start();
  running.add(() => trimmer.stop());
  return recorder;
}

function startRecorder(
  log: Log,
  history: History,
  { workspace, settings, logger, meter, running, passed }: RecordingOptions,
): Recorder {
  const reader = log.reader(passed);
  const reports = new RejectionReports(logger);
  // Best effort: the line in the log and the metric are there, whatever becomes of the event.
  const report = (events: readonly WireEvent[]) =>
    log.appendEvents(events.map((event) => ({ event }))).catch(() => {});
  let isUpgrading = false;
  const recorder = new Recorder(history, reader, {
    retention: {
      maxAgeMs: settings.historyMaxAge / millisecond,
      maxBytes: settings.historyMaxSize,
    },
    onError: (error) => {
      meter.recorderFailed();
      logger.warn({ err: error }, "Could not record the log in the history; retrying");
    },
    onRefused: ({ text }, error) => {
      meter.eventUnrecorded();
      const reason = error instanceof Error ? error.message : String(error);
      const rejected = rejectedEvent(decodeStoredEvent(text), reason, Buffer.byteLength(text));
      void report(reports.report(workspace, "history", [rejected]));
    },
    onUpgraded: (eventCount, isComplete) => {
      if (isComplete) logger.info({ eventCount }, "The upgrade of the history is complete");
      else if (!isUpgrading)
        logger.warn({}, "Upgrading the history, newest events first; queries miss those that are left");
      isUpgrading = !isComplete;
    },
    onUnreadable: ({ position, reason }) =>
      logger.error({ position, reason }, "Skipped a log entry that cannot be read"),
  });
  recorder.start();
  running.add(async () => {
    const stopped = recorder.stop();
    reader.close(); // ends a read that waits for entries, so that the stop does not have to
    await stopped;
    reader.close(); // it may have begun to wait in the meantime
    await report(reports.flush(workspace, "history"));
  });
  return recorder;
}
