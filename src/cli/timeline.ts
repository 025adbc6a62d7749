/**
 * Timelines: events and ticks, one JSON document per line, in the order in which they are received.
 *
 * A line is an event, with an optional `received` (default: its `occurred`), or `{"tick": "<time>"}`. So that timelines
 * can be written by hand, an id may be any text and may be left out.
 */

import { createReadStream, statSync } from "node:fs";
import { createInterface } from "node:readline";
import { z } from "zod";
import { placeholderFor } from "../cases/placeholders.ts";
import { parseExactJson } from "../core/json/exact-json.ts";
import { type Gap, gapEventName, gapsReportedBy } from "../core/machine/gaps.ts";
import type { TimelineStep } from "../core/machine/simulation.ts";
import type { Automation } from "../core/model/automation.ts";
import { EventSchema, isUuid, normalizeUuid, type WireEvent } from "../core/model/event.ts";
import { parseTime } from "../core/model/time.ts";
import { triplineNamespace, uuid5 } from "../core/model/uuid.ts";
import { formatDiagnostic } from "../rules/diagnostic.ts";
import { readRules } from "../rules/load.ts";
import { readRuleFiles } from "../rules/rule-files.ts";
import { standIn } from "../templates/environment.ts";
import { CommandFailure } from "./failure.ts";
import { ruleEnvironment } from "./secret-files.ts";

const TimeSchema = z
  .string()
  .refine((text) => parseTime(text) !== null, "expected an RFC 3339 time, such as 2026-03-01T09:30:00Z");

const IdSchema = z
  .string()
  .min(1)
  .transform((id) => (isUuid(id) ? normalizeUuid(id) : id));

const TickSchema = z.strictObject({ tick: TimeSchema });

const EventLineSchema = EventSchema.extend({
  id: IdSchema.optional(),
  follows: IdSchema.nullable().default(null),
  received: TimeSchema.nullable().optional(),
});

/**
 * Reads a line of a timeline.
 *
 * @param place where the line is (`file:line`), for error messages
 * @returns the step; null for an empty line
 * @throws CommandFailure with the place, the JSON path, and what is wrong
 */
export function readTimelineLine(text: string, place: string): TimelineStep | null {
  if (text.trim() === "") return null;
  let line: unknown;
  try {
    line = parseExactJson(text);
  } catch (error) {
    throw new CommandFailure(`${place}: the line is not valid JSON: ${(error as Error).message}`);
  }
  const isTick = typeof line === "object" && line !== null && "tick" in line;
  if (isTick) {
    const { tick } = parsed(TickSchema, line, place);
    return { received: parseTime(tick) ?? 0, event: null };
  }
  const { received, id, ...fields } = parsed(EventLineSchema, line, place);
  const event: WireEvent = { ...fields, id: id ?? uuid5(triplineNamespace, `${place} ${text}`) };
  return { received: parseTime(received ?? event.occurred) ?? 0, event };
}

function parsed<T>(schema: z.ZodType<T>, line: unknown, place: string): T {
  const result = schema.safeParse(line);
  if (result.success) return result.data;
  const mistakes = result.error.issues.map(({ path, message }) => {
    const field = path.length === 0 ? "the line" : path.join(".");
    return `${place}: ${field}: ${message}`;
  });
  throw new CommandFailure(mistakes.join("\n"));
}

/** Loads rules for a run over a timeline. @throws CommandFailure with every mistake in them */
export function rulesForTimeline(paths: readonly string[]): readonly Automation[] {
  const texts = readRuleFiles(paths, process.cwd());
  const contents = [...texts.texts.values()];
  const { automations, diagnostics } = readRules(texts, {
    workspace: "default",
    // No action runs, so no variable needs a value.
    env: { ...ruleEnvironment(process.env), [standIn]: (name: string) => placeholderFor(name, contents) },
    now: 0,
  });
  if (diagnostics.length > 0) throw new CommandFailure(diagnostics.map(formatDiagnostic).join("\n"));
  return automations;
}

/** The lines of a file, or of standard input for `-`, each with its number. @throws CommandFailure when it is unreadable */
async function* linesOf(file: string): AsyncIterable<[number: number, text: string]> {
  const input = file === "-" ? process.stdin : createReadStream(file);
  let number = 0;
  try {
    for await (const text of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      number++;
      // Some editors write a byte order mark, which is not part of the first line.
      yield [number, number === 1 ? text.replace(/^\uFEFF/, "") : text];
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw new CommandFailure(`Cannot read ${file}: ${(error as Error).message}`);
  }
}

/** A timeline, and the gaps that its events report. They are known before its first line, because they move ends of windows. */
export interface Timeline {
  readonly lines: AsyncIterable<[number: number, text: string]> | Iterable<[number: number, text: string]>;
  readonly gaps: readonly Gap[];
}

/** @throws CommandFailure when the file is unreadable, or a line that reports a gap is not valid */
export async function openTimeline(file: string): Promise<Timeline> {
  const canBeReadAgain = file !== "-" && (statSync(file, { throwIfNoEntry: false })?.isFile() ?? false);
  const kept: [number: number, text: string][] = [];
  const reports: WireEvent[] = [];
  for await (const [number, text] of linesOf(file)) {
    if (!canBeReadAgain) kept.push([number, text]);
    if (!text.includes(gapEventName)) continue;
    const event = readTimelineLine(text, `${nameOf(file)}:${number}`)?.event ?? null;
    if (event !== null) reports.push(event);
  }
  return { lines: canBeReadAgain ? linesOf(file) : kept, gaps: gapsReportedBy(reports) };
}

export function nameOf(file: string): string {
  return file === "-" ? "<standard input>" : file;
}
