/** The history of a server: opened once for all workspaces, and written by the role `recorder`. */

import type { Logger } from "pino";
import { RejectionReports, rejectedEvent } from "../api/ingest/rejected-events.ts";
import type { Event, WireEvent } from "../core/model/event.ts";
import { millisecond } from "../core/model/time.ts";
import { HistoryHealth } from "../history/health.ts";
import type { History } from "../history/history.ts";
import { Recorder } from "../history/recorder.ts";
import type { Log } from "../store/log.ts";
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
): Promise<History | null> {
  if (historyUrl === "off" || !(roles.includes("api") || roles.includes("recorder"))) return null;
  const onLost = (reason: string) =>
    logger.error(
      { reason, history: withoutPassword(historyUrl) },
      "The history was lost while the server ran; opening it again. It gets the events that the log still holds",
    );
  const { openHistory } = await import("../history/history.ts"); // only the threads that need it load it
  const history = await openHistory({ url: historyUrl, workspace: workspace[0] ?? "default", onLost });
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
  { logger, meter, running }: Omit<RecordingOptions, "settings" | "workspace">,
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
  { workspace, settings, logger, meter, running }: RecordingOptions,
): Recorder | null {
  const recorder =
    history === null ? null : startRecorder(log, history, { workspace, settings, logger, meter, running });
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

/** The size of an event as JSON; null if it cannot even be written. */
function sizeOf({ wire }: Event): number | null {
  try {
    return Buffer.byteLength(JSON.stringify(wire));
  } catch {
    return null;
  }
}

function startRecorder(
  log: Log,
  history: History,
  { workspace, settings, logger, meter, running }: RecordingOptions,
): Recorder {
  const reader = log.reader();
  const reports = new RejectionReports(logger);
  // Best effort: the line in the log and the metric are there, whatever becomes of the event.
  const report = (events: readonly WireEvent[]) =>
    log.appendEvents(events.map((event) => ({ event }))).catch(() => {});
  const recorder = new Recorder(history, reader, {
    retention: {
      maxAgeMs: settings.historyMaxAge / millisecond,
      maxBytes: settings.historyMaxSize,
    },
    onError: (error) => {
      meter.recorderFailed();
      logger.warn({ err: error }, "Could not record the log in the history; retrying");
    },
    onRefused: (event, error) => {
      meter.eventUnrecorded();
      const reason = error instanceof Error ? error.message : String(error);
      void report(reports.report(workspace, "history", [rejectedEvent(event.wire, reason, sizeOf(event))]));
    },
  });
  recorder.start();
  running.add(async () => {
    const stopped = recorder.stop();
    reader.close(); // ends a read that waits for entries, so that the stop does not have to
    await stopped;
    await report(reports.flush(workspace, "history"));
  });
  return recorder;
}
