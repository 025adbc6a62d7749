/** The thread that owns one connection to an SQLite file, so that no query blocks the main event loop. */

import { parentPort, workerData } from "node:worker_threads";
import { SqliteFile, type SqliteRequest, type SqliteSettings } from "./sqlite-file.ts";

const file = new SqliteFile(workerData as SqliteSettings);
parentPort?.on("message", (request: SqliteRequest | "close") => {
  if (request === "close") {
    file.close();
    parentPort?.close();
  } else parentPort?.postMessage(file.answer(request));
});
