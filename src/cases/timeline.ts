/** Shows what happened in a case and what was expected on one timeline. */

import { formatDuration, type Micros, parseTime } from "../core/model/time.ts";
import type { Case, CaseStep, EventStep, ExpectedFiring } from "./case.ts";
import { isGood, type Pair } from "./compare.ts";
import { shownTime } from "./differences.ts";
import type { GotFiring } from "./got-firing.ts";

export type Tone = "plain" | "good" | "bad" | "faint";
export type Paint = (tone: Tone, text: string) => string;

interface TimelineRow {
  readonly at: Micros;
  /** Steps come before the firings that they lead to, and the end comes last. */
  readonly rank: number;
  /** Whether a firing was expected here, and whether there was one; null for rows that are not firings. */
  readonly isExpected: boolean | null;
  readonly isGot: boolean | null;
  readonly text: string;
  /** What is wrong, one line each. */
  readonly notes: readonly string[];
  readonly tone: Tone;
}

/**
 * The timeline as lines of text: each step, each expected firing, and each actual firing.
 *
 * @param headings the headings of the two columns of marks
 */
export function timelineOf(
  one: Case,
  pairs: readonly Pair[],
  paint: Paint,
  headings: readonly [string, string] = ["expected", "got"],
): string[] {
  const wrong = pairs.filter((pair) => !isGood(pair));
  const wrongInstants = new Set(wrong.flatMap(({ expected, got }) => [expected?.at, got?.at]));
  const all = [
    ...stepRows(one, wrongInstants),
    ...pairs.flatMap((pair) => pairRows(pair, one)),
    { ...plainRow(one.end, "end"), rank: 2 },
  ].sort((a, b) => a.at - b.at || a.rank - b.rank);
  const rows = thinned(all);
  const times = rows.map(({ at }) => shownTime(at, one.start));
  const width = Math.max("time".length, ...times.map((time) => time.length));
  const [first, second] = headings;
  const head = `${"time".padStart(width)}  ${first}  ${second}`;
  const indent = " ".repeat(head.length + 2);
  const lines = rows.flatMap(({ isExpected, isGot, text, notes, tone }, index) => {
    const marks = `${mark(isExpected, first.length)}  ${mark(isGot, second.length)}`;
    const line = `${(times[index] ?? "").padStart(width)}  ${marks}  ${text}`.trimEnd();
    return [line, ...notes.map((note) => `${indent}  ${note}`)].map((part) => paint(tone, onOneLine(part)));
  });
  return [paint("faint", head), ...lines];
}

/** Shortens a very long timeline to its beginning, its end, and the first wrong rows with the rows around them. */
function thinned(rows: readonly TimelineRow[]): readonly TimelineRow[] {
  if (rows.length <= rowCountMax) return rows;
  const kept = new Set<number>();
  const keepAround = (index: number): void => {
    for (let near = index - 2; near <= index + 2; near++) kept.add(near);
  };
  const wrong = [...rows.keys()].filter((index) => rows[index]?.tone === "bad");
  for (const index of [0, ...wrong.slice(0, wrongCountMax), rows.length - 1]) keepAround(index);
  const shown: TimelineRow[] = [];
  let from: number | null = null;
  for (const [index, row] of rows.entries()) {
    if (!kept.has(index)) {
      from ??= index;
      continue;
    }
    if (from !== null) shown.push(gapRow(rows.slice(from, index)));
    from = null;
    shown.push(row);
  }
  return shown;
}

/** Stands for rows that are left out. */
function gapRow(rows: readonly TimelineRow[]): TimelineRow {
  const wrongCount = rows.filter(({ tone }) => tone === "bad").length;
  const also = wrongCount === 0 ? "" : `, ${wrongCount} of them wrong`;
  return { ...plainRow(rows[0]?.at ?? 0, `… ${rows.length} more lines${also}`), tone: "faint" };
}

const rowCountMax = 200;
const wrongCountMax = 30;

/** Escapes control characters, because names and labels may contain line breaks and terminal sequences. */
function onOneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}

function mark(is: boolean | null, width: number): string {
  const text = is === null ? "" : is ? "●" : "–";
  const before = Math.floor((width - text.length) / 2);
  return `${" ".repeat(before)}${text}`.padEnd(width);
}

function stepRows({ steps, start }: Case, shownInstants: ReadonlySet<Micros | undefined>): TimelineRow[] {
  const rows: TimelineRow[] = [];
  for (const run of runsOf(steps, shownInstants)) {
    const shown = run.length > runLengthMax ? [run[0]!, null, run.at(-1)!] : run;
    for (const step of shown) {
      const [first, second] = run;
      if (step !== null) rows.push(plainRow(step.at, shownStep(step, start)));
      else if (first !== undefined && second !== undefined) {
        const every = formatDuration(second.at - first.at);
        const text = `… ${run.length - 2} more, one every ${every}`;
        rows.push({ ...plainRow(second.at, text), tone: "faint" });
      }
    }
  }
  return rows;
}

/** Groups consecutive repetitions of one step. A repetition at an instant that must be shown ends the group. */
function runsOf(steps: readonly CaseStep[], shownInstants: ReadonlySet<Micros | undefined>): CaseStep[][] {
  const runs: CaseStep[][] = [];
  for (const step of steps) {
    const run = runs.at(-1);
    const last = run?.at(-1);
    const goesOn = last?.stepIndex === step.stepIndex && !shownInstants.has(last.at);
    if (goesOn && !shownInstants.has(step.at)) run?.push(step);
    else runs.push([step]);
  }
  return runs;
}

const runLengthMax = 4;

function shownStep(step: CaseStep, start: Micros): string {
  if (step.kind === "restart") return "restart";
  if (step.kind === "switch") return `${step.enabled ? "enable" : "disable"} ${step.names.join(", ")}`;
  return shownEvent(step, start);
}

function shownEvent({ event, at, isNamed }: EventStep, start: Micros): string {
  const { "prefect.resource.id": id, ...labels } = event.resource;
  const occurred = parseTime(event.occurred) ?? at;
  return [
    event.event,
    id ?? "",
    ...labelTexts(labels),
    ...(isNamed ? [`id ${event.id}`] : []),
    ...(event.follows === null ? [] : [`follows ${event.follows}`]),
    ...(occurred === at ? [] : [`occurred at ${shownTime(occurred, start)}`]),
  ].join("  ");
}

function pairRows(pair: Pair, { start }: Case): TimelineRow[] {
  const { expected, got, differences, problems } = pair;
  const renderingNotes = problems.map((problem) => `its webhook cannot be rendered: ${problem}`);
  const row = (firing: ExpectedFiring | GotFiring, isExpected: boolean, isGot: boolean): TimelineRow => ({
    at: firing.at,
    rank: 1,
    isExpected,
    isGot,
    text: shownFiring(firing),
    notes: [],
    tone: isGood(pair) ? "good" : "bad",
  });
  if (expected === null || got === null) {
    if (got !== null) return [{ ...row(got, false, true), notes: ["was not expected", ...renderingNotes] }];
    if (expected === null) return [];
    const notes = [`did not happen; expected on line ${expected.place.line}`];
    return [{ ...row(expected, true, false), notes }];
  }
  const allNotes = differences
    .filter(({ field }) => field !== "at")
    .map(({ field, expected: wanted, got: found }) => `${field}: expected ${wanted}, got ${found}`);
  const notes = allNotes.length > noteCountMax ? [...allNotes.slice(0, noteCountMax), "…"] : allNotes;
  if (expected.at === got.at) return [{ ...row(got, true, true), notes: [...notes, ...renderingNotes] }];
  const apart = formatDuration(Math.abs(got.at - expected.at));
  const how = got.at > expected.at ? "late" : "early";
  const otherTime = `expected at ${shownTime(expected.at, start)}`;
  return [
    { ...row(expected, true, false), notes: [`came ${apart} ${how}; see ${shownTime(got.at, start)}`] },
    { ...row(got, false, true), notes: [otherTime, ...notes, ...renderingNotes] },
  ];
}

function shownFiring({ automation, state, labels }: ExpectedFiring | GotFiring): string {
  return [automation, state, ...labelTexts(labels)].join("  ");
}

function labelTexts(labels: Readonly<Record<string, string>>): string[] {
  return Object.entries(labels).map(([label, value]) => `${label}=${value}`);
}

function plainRow(at: Micros, text: string): TimelineRow {
  return { at, rank: 0, isExpected: null, isGot: null, text, notes: [], tone: "plain" };
}

const noteCountMax = 12;
