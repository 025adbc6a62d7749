/** The history of a server: opened once for all workspaces, and written by the role `recorder`. */

import type { Logger } from "pino";
import { millisecond } from "../core/model/time.ts";
import { type History, openHistory } from "../history/history.ts";
import { Recorder } from "../history/recorder.ts";
import type { Log } from "../store/log.ts";
import { Trimmer } from "../store/trimmer.ts";
import type { Running } from "./running.ts";
import type { Settings } from "./settings.ts";

/**
 * Opens the history that the settings name, if a role of this process needs it. Null if there is none.
 *
 * @throws HistoryUnavailable, HistoryMisconfigured
 */
export async function openSharedHistory(settings: Settings, running: Running): Promise<History | null> {
  const { historyUrl, roles, workspace } = settings;
  if (historyUrl === "off" || !(roles.includes("api") || roles.includes("recorder"))) return null;
  const history = await openHistory({ url: historyUrl, workspace: workspace[0] ?? "default" });
  running.add(() => history.close());
  return history;
}

/** Counts failures of the recorder and trimmed entries. */
export interface HistoryMeter {
  recorderFailed(): void;
  trimmed(entryCount: number): void;
}

/**
 * Starts the work of the role `recorder`: it copies the log into the history, deletes old events there, and trims the log
 * behind its readers.
 *
 * @param history null if nothing is recorded; the log is trimmed nevertheless
 */
export function startRecording(
  log: Log,
  history: History | null,
  {
    settings,
    logger,
    meter,
    running,
  }: {
    readonly settings: Settings;
    readonly logger: Logger;
    readonly meter: HistoryMeter;
    readonly running: Running;
  },
): void {
  if (history !== null) {
    const reader = log.reader();
    const recorder = new Recorder(history, reader, {
      retention: {
        maxAgeMs: settings.historyMaxAge / millisecond,
        maxBytes: settings.historyMaxSize,
      },
      onError: (error) => {
        meter.recorderFailed();
        logger.warn({ err: error }, "Could not record the log in the history; retrying");
      },
    });
    recorder.start();
    running.add(async () => {
      const stopped = recorder.stop();
      reader.close(); // ends a read that waits for entries, so that the stop does not have to
      await stopped;
    });
  }
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
}
