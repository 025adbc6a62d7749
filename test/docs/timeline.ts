/** Reads the notation of timelines, which docs/triggers.md explains. */

import type { WireEvent, WireResource } from "../../src/core/model/event.ts";
import { formatTime, type Micros, parseDuration, parseTime } from "../../src/core/model/time.ts";
import { triplineNamespace, uuid5 } from "../../src/core/model/uuid.ts";
import type { Block } from "./document.ts";

export type Happening =
  | { readonly kind: "event"; readonly event: WireEvent; readonly causedBy: readonly string[] }
  | { readonly kind: "end" | "engine restarts" | "disabled" | "enabled" | "edited" | "deleted" }
  | { readonly kind: "gap"; readonly from: Micros }
  | { readonly kind: "renamed"; readonly name: string };

export interface ExpectedFiring {
  readonly line: number;
  readonly at: Micros;
  readonly written: string;
  readonly verb: "fires" | "resolved" | "loop cut";
  readonly automation: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly late: boolean;
  /** Ids of events: null if the firing has no event, absent if the example does not say. */
  readonly by?: string | null;
  readonly from?: readonly string[];
  readonly window?: readonly [start: Micros, end: Micros];
  readonly count?: number;
}

export interface TimelineLine {
  readonly line: number;
  readonly at: Micros;
  /** Null if only time passes. */
  readonly happening: Happening | null;
}

export interface Timeline {
  readonly start: Micros;
  readonly lines: readonly TimelineLine[];
  readonly expected: readonly ExpectedFiring[];
}

/** Offsets in timelines without dates count from here: Monday, midnight. */
const origin = parseTime("2026-03-02T00:00:00Z") ?? 0;

/** @throws Error naming the line that cannot be read, and why */
export function readTimeline(block: Block, file: string): Timeline {
  const lines: TimelineLine[] = [];
  const expected: ExpectedFiring[] = [];
  let start: Micros | null = null;
  for (const [index, text] of block.text.split("\n").entries()) {
    const line = block.line + index;
    const reader = new LineReader(text, `${file}:${line}`);
    if (reader.isEmpty) continue;
    const time = reader.is("→") ? null : reader.time();
    const at: Micros | null = time ?? lines.at(-1)?.at ?? null;
    if (at === null) throw reader.mistake("the first line needs a time");
    if (at < (lines.at(-1)?.at ?? at)) throw reader.mistake("this is before the line above it");
    start ??= /^\s*\d{4}-/.test(text) ? at : origin;
    const happening = reader.is("→") ? null : reader.happening(at);
    if (time !== null) lines.push({ line, at, happening });
    if (reader.is("→")) expected.push({ line, at, written: text.trim(), ...reader.firing() });
    reader.finish();
  }
  return { start: start ?? origin, lines, expected };
}

function idOf(name: string): string {
  return uuid5(triplineNamespace, name);
}

/** A label with its value, a bracket, an arrow, a stage direction, or a word. */
const tokenPattern = /"[^"]*"|[^\s=[\]()]+=(?:"[^"]*"|[^\s\]]*)|\([^)]*\)|[[\]]|[^\s[\]]+/g;

class LineReader {
  readonly #tokens: string[];
  readonly #place: string;
  #at = 0;

  constructor(text: string, place: string) {
    this.#tokens = text.replace(/(^|\s)# .*$/, "").match(tokenPattern) ?? [];
    this.#place = place;
  }

  get isEmpty(): boolean {
    return this.#tokens.length === 0;
  }

  is(token: string): boolean {
    return this.#tokens[this.#at] === token;
  }

  mistake(what: string): Error {
    return new Error(`${this.#place}: ${what}`);
  }

  finish(): void {
    if (this.#at < this.#tokens.length) throw this.mistake(`cannot read "${this.#tokens[this.#at]}"`);
  }

  time(): Micros {
    return this.#timeOf(this.#next());
  }

  happening(received: Micros): Happening | null {
    const [, direction] = /^\((.*)\)$/.exec(this.#tokens[this.#at] ?? "") ?? [];
    if (direction === undefined) return this.#at < this.#tokens.length ? this.#event(received) : null;
    this.#at++;
    const [, name] = /^renamed to (.+)$/.exec(direction) ?? [];
    if (name !== undefined) return { kind: "renamed", name };
    const [, from] = /^nobody could post since (\S+)$/.exec(direction) ?? [];
    if (from !== undefined) return { kind: "gap", from: this.#timeOf(from) };
    const known = ["end", "engine restarts", "disabled", "enabled", "edited", "deleted"] as const;
    const kind = known.find((candidate) => candidate === direction);
    if (kind === undefined)
      throw this.mistake(`(${direction}) is not known; there are (${known.join("), (")})`);
    return { kind };
  }

  firing(): Omit<ExpectedFiring, "line" | "at" | "written"> {
    this.#take("→");
    const verb = this.#verb();
    const name = /^"(.*)"$/.exec(this.#tokens[this.#at] ?? "")?.[1] ?? null;
    if (name !== null) this.#at++;
    const labels = this.#labels();
    const details: { by?: string | null; from?: string[]; window?: [Micros, Micros]; count?: number } = {};
    let late = false;
    for (;;) {
      if (this.#take("by")) details.by = this.#take("nothing") ? null : this.#id();
      else if (this.#take("from")) {
        details.from = [this.#id()];
        while (this.#tokens[this.#at]?.startsWith("#")) details.from.push(this.#id());
      } else if (this.#take("window")) {
        const [start = "", end = ""] = this.#next().split("..");
        details.window = [this.#timeOf(start), this.#timeOf(end)];
      } else if (this.#take("count")) details.count = Number(this.#next());
      else if (this.#take("late")) late = true;
      else return { verb, automation: name, labels, late, ...details };
    }
  }

  #verb(): ExpectedFiring["verb"] {
    if (this.#take("fires")) return "fires";
    if (this.#take("resolved")) return "resolved";
    if (this.#take("loop") && this.#take("cut")) return "loop cut";
    throw this.mistake("after the arrow comes fires, resolved or loop cut");
  }

  #event(received: Micros): Happening {
    const event = this.#next();
    let resource: WireResource = { "prefect.resource.id": "greenhouse", ...this.#labels() };
    const related: WireResource[] = [];
    let [occurred, id, follows] = [received, idOf(this.#place), null as string | null];
    const causedBy: string[] = [];
    for (;;) {
      const token = this.#tokens[this.#at] ?? "";
      if (token.startsWith("@")) occurred = this.#timeOf(this.#next().slice(1));
      else if (token.startsWith("#")) id = this.#id();
      else if (token === "[") related.push(this.#related());
      else if (this.#take("follows")) follows = this.#id();
      else if (/^\(caused by /.test(token)) {
        causedBy.push(...this.#next().slice("(caused by ".length, -1).split(", "));
      } else if (token.includes("=")) resource = { ...resource, ...this.#labels() };
      else break;
    }
    const wire = { occurred: formatTime(occurred), event, resource, related, payload: {}, id, follows };
    return { kind: "event", event: wire, causedBy };
  }

  #related(): WireResource {
    this.#take("[");
    const role = this.#next();
    const labels = { "prefect.resource.id": role, "prefect.resource.role": role, ...this.#labels() };
    if (!this.#take("]")) throw this.mistake("a related resource ends with ]");
    return labels;
  }

  #labels(): Record<string, string> {
    const labels: Record<string, string> = {};
    for (let token = this.#tokens[this.#at]; token?.includes("="); token = this.#tokens[this.#at]) {
      const [, label = "", quoted, plain = ""] = /^(.+?)=(?:"(.*)"|(.*))$/.exec(token) ?? [];
      labels[label] = quoted ?? plain;
      this.#at++;
    }
    return labels;
  }

  #id(): string {
    const token = this.#next();
    if (!token.startsWith("#")) throw this.mistake(`"${token}" should be an event's id, such as #a`);
    return idOf(token.slice(1));
  }

  #timeOf(text: string): Micros {
    const offset = text.startsWith("-") ? negative(parseDuration(text.slice(1))) : parseDuration(text);
    const time = parseTime(text) ?? (offset === null ? null : origin + offset);
    if (time === null) throw this.mistake(`"${text}" is not a time: write 90s, 1h30m or 2026-03-29T01:00Z`);
    return time;
  }

  #take(token: string): boolean {
    if (!this.is(token)) return false;
    this.#at++;
    return true;
  }

  #next(): string {
    const token = this.#tokens[this.#at];
    if (token === undefined) throw this.mistake("the line ends too early");
    this.#at++;
    return token;
  }
}

function negative(duration: Micros | null): Micros | null {
  return duration === null ? null : -duration;
}

/** The time as timelines write it. */
export function formatTimelineTime(at: Micros, start: Micros): string {
  return start === origin ? `${(at - origin) / 1e6}s` : formatTime(at);
}
