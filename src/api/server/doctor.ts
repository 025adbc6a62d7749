/** What is wrong with the deployment: the checks of `tripline doctor` that a server can make from inside. */

import { setTimeout as pause } from "node:timers/promises";
import { z } from "zod";
import { type Route, route } from "../http/route.ts";

const DoctorFindingSchema = z
  .object({
    check: z.string().meta({ description: "What was checked, in a word or two." }),
    status: z.enum(["ok", "warning", "problem", "skipped"]).meta({
      description: "`skipped`: it could not be checked, which says nothing.",
    }),
    message: z.string().meta({ description: "What was found, in a sentence. Without secrets." }),
    remedy: z.string().nullable().meta({ description: "What to do; null if nothing needs to be done." }),
  })
  .meta({ id: "DoctorFinding" });

export const DoctorReportSchema = z
  .object({
    status: z.enum(["ok", "warning", "problem"]).meta({ description: "The worst of all findings." }),
    findings: z.array(DoctorFindingSchema),
  })
  .meta({ id: "DoctorReport", description: "What the checks of a deployment found." });

export type DoctorReport = z.infer<typeof DoctorReportSchema>;

/** Checks what a workspace needs; see src/cli/doctor. */
export type Examine = (workspace: string) => Promise<DoctorReport>;

/** Longer than the second look at what is wrong, and than a database takes that is there. */
const examinationMsMax = 30_000;

export function doctorRoutes(examine: Examine, timeoutMs = examinationMsMax): Route[] {
  const examinations = new SharedRuns(examine, timeoutMs, tookTooLong(timeoutMs));
  return [
    route(
      {
        method: "get",
        path: "/doctor",
        id: "doctor",
        summary: "Check the deployment",
        description:
          "What `tripline doctor` checks from outside, as far as a server can: Redis, the engines, deliveries and secrets of " +
          "the workspace, the API keys, and the history. What concerns all workspaces is shown to keys of the first one only. It takes some seconds if something is wrong, because that is looked at " +
          "twice. One examination is made at a time; requests that come meanwhile get its report.",
        tag: "server",
        scope: "admin",
        answers: { 200: { description: "What was found.", schema: DoctorReportSchema } },
      },
      async ({ tenant }, context) => context.json(await examinations.of(tenant.workspace)),
    ),
  ];
}

function tookTooLong(timeoutMs: number): DoctorReport {
  const message = `The checks took longer than ${timeoutMs / 1_000} s.`;
  const remedy = "See the log of the server, and run tripline doctor on its machine.";
  return { status: "problem", findings: [{ check: "checks", status: "problem", message, remedy }] };
}

/** Runs that are made one at a time, and shared by all who want one with the same key meanwhile. */
class SharedRuns<T> {
  readonly #run: (key: string) => Promise<T>;
  readonly #timeoutMs: number;
  readonly #otherwise: T;
  readonly #waiting = new Map<string, Promise<T>>();
  #last: Promise<unknown> = Promise.resolve();

  /** @param otherwise the outcome of a run that takes too long */
  constructor(run: (key: string) => Promise<T>, timeoutMs: number, otherwise: T) {
    this.#run = run;
    this.#timeoutMs = timeoutMs;
    this.#otherwise = otherwise;
  }

  of(key: string): Promise<T> {
    const shared = this.#waiting.get(key);
    if (shared !== undefined) return shared;
    const run = this.#last
      .then(() => this.#bounded(key))
      .finally(() => {
        this.#waiting.delete(key);
      });
    this.#waiting.set(key, run);
    this.#last = run.catch(() => {}); // it is for those who asked
    return run;
  }

  async #bounded(key: string): Promise<T> {
    const ended = new AbortController();
    const patience = pause(this.#timeoutMs, this.#otherwise, { signal: ended.signal }).catch(
      () => this.#otherwise,
    );
    try {
      return await Promise.race([this.#run(key), patience]);
    } finally {
      ended.abort();
    }
  }
}
