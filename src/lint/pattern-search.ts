/**
 * Answers questions about sets of patterns: can any value match all of these, or one but not the other?
 *
 * The patterns run side by side as state machines, each as the set of its possible positions, over one character of each
 * kind that they distinguish. The search is breadth-first, so the value found is a shortest one. It is bounded: a question
 * that would take too long is answered with "unknown", and then the caller must not warn.
 */

import { type Element, type Glob, piecesOf } from "../core/model/glob.ts";

export type SearchAnswer =
  | { readonly kind: "found"; readonly value: string }
  | { readonly kind: "none" }
  | { readonly kind: "unknown" };

/** The search takes at most some ten milliseconds, however many patterns there are and however long. */
const statesMax = 5_000;
const alphabetMax = 200;
/** Steps of all patterns together, each as many as it has possible positions. */
const workMax = 30_000;
/** The elements of all patterns together. */
const elementsMax = 20_000;

/** Finds a value for which `wanted` is true. @param wanted receives, for each pattern, whether the value matches it */
export function findValue(
  globs: readonly Glob[],
  wanted: (matches: readonly boolean[]) => boolean,
  { nonEmpty = false }: { readonly nonEmpty?: boolean } = {},
): SearchAnswer {
  if (globs.reduce((sum, { pattern }) => sum + pattern.length, 0) > elementsMax) return { kind: "unknown" };
  const machines = globs.map((glob) => new PatternMachine(glob));
  const alphabet = alphabetOf(machines.flatMap(({ steps }) => steps.filter((step) => step !== star)));
  if (alphabet.length > alphabetMax) return { kind: "unknown" };
  const isWanted = (places: readonly Places[]): boolean =>
    wanted(machines.map((machine, index) => machine.matchesAt(places[index] ?? [])));
  const start = machines.map((machine) => machine.start);
  if (!nonEmpty && isWanted(start)) return { kind: "found", value: "" };
  const queue: { places: readonly Places[]; value: string }[] = [{ places: start, value: "" }];
  const seen = new Set<string>(nonEmpty ? [] : [textOf(start)]);
  let work = 0;
  for (let at = 0; at < queue.length; at++) {
    const { places, value } = queue[at]!;
    const stepCost = places.reduce((sum, { length }) => sum + 1 + length, 0);
    for (const character of alphabet) {
      work += stepCost;
      if (work > workMax) return { kind: "unknown" };
      const next = machines.map((machine, index) => machine.step(places[index] ?? [], character));
      const text = textOf(next);
      if (seen.has(text)) continue;
      seen.add(text);
      const longer = value + character;
      if (isWanted(next)) return { kind: "found", value: longer };
      if (seen.size > statesMax) return { kind: "unknown" };
      queue.push({ places: next, value: longer });
    }
  }
  return { kind: "none" };
}

/** A value that matches some pattern of one list and some pattern of the other. */
export function findCommonValue(one: readonly Glob[], other: readonly Glob[]): SearchAnswer {
  // Plain values are tested one by one, because lists may have hundreds of them.
  for (const [list, against] of [
    [one, other],
    [other, one],
  ] as const) {
    if (list.some(({ literal }) => literal === null)) continue;
    const common = list.find(({ literal }) => against.some((glob) => glob.matches(literal ?? "")));
    return common === undefined ? { kind: "none" } : { kind: "found", value: common.literal ?? "" };
  }
  return findValue(
    [...one, ...other],
    (matches) => matches.slice(0, one.length).includes(true) && matches.slice(one.length).includes(true),
  );
}

/** True when every value that matches `inner` certainly matches some pattern of `outer`. */
export function alwaysWithin(inner: Glob, outer: readonly Glob[]): boolean {
  if (inner.literal !== null) return outer.some((glob) => glob.matches(inner.literal ?? ""));
  const answer = findValue(
    [inner, ...outer],
    ([isInner, ...isOuter]) => isInner === true && !isOuter.includes(true),
  );
  return answer.kind === "none";
}

const star = Symbol("any run of characters");
type Step = Element | typeof star;
type Places = readonly number[];

/** A pattern as a state machine. Its state is the set of positions that a value may have reached. */
class PatternMachine {
  readonly steps: readonly Step[];
  readonly start: Places;
  readonly #negated: boolean;

  constructor({ pattern, negated }: Glob) {
    const pieces = piecesOf(negated ? pattern.slice(1) : pattern);
    this.steps = pieces.flatMap((piece, index): Step[] => (index === 0 ? piece : [star, ...piece]));
    this.start = this.#withStars([0]);
    this.#negated = negated;
  }

  step(places: Places, character: string): Places {
    const next = new Set<number>();
    for (const place of places) {
      const step = this.steps[place];
      if (step === undefined) continue;
      if (step === star) next.add(place);
      else if (accepts(step, character)) next.add(place + 1);
    }
    return this.#withStars(next);
  }

  matchesAt(places: Places): boolean {
    return places.includes(this.steps.length) !== this.#negated;
  }

  /** A star may match nothing, so a position before it is also one after it. */
  #withStars(places: Iterable<number>): Places {
    const all = new Set(places);
    for (const place of all) if (this.steps[place] === star) all.add(place + 1);
    return [...all].sort((a, b) => a - b);
  }
}

function accepts(element: Element, character: string): boolean {
  if (typeof element === "string") return element === character;
  const code = character.codePointAt(0) ?? -1;
  return element.negated !== element.ranges.some(([low, high]) => low <= code && code <= high);
}

/** One character, preferably a readable one, for each set of characters that no element distinguishes. */
function alphabetOf(elements: readonly Element[]): string[] {
  const distinct = [...new Map(elements.map((element) => [JSON.stringify(element), element])).values()];
  const bounds = new Set<number>([0]);
  for (const element of distinct) {
    const code = typeof element === "string" ? (element.codePointAt(0) ?? 0) : 0;
    for (const [low, high] of typeof element === "string" ? [[code, code] as const] : element.ranges) {
      bounds.add(low);
      bounds.add(high + 1);
    }
  }
  const characters = [
    ...readable,
    ...[...bounds].filter((code) => code >= 0 && code <= codeMax).map((code) => String.fromCodePoint(code)),
  ];
  const byKind = new Map<string, string>();
  for (const character of characters) {
    const kind = distinct.map((element) => (accepts(element, character) ? "1" : "0")).join("");
    if (!byKind.has(kind)) byKind.set(kind, character);
    if (byKind.size > alphabetMax) break;
  }
  return [...byKind.values()];
}

const readable = "xyzabcdefghijklmnopqrstuvw0123456789.-_ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const codeMax = 0x10_ff_ff;

function textOf(places: readonly Places[]): string {
  return places.map((one) => one.join(",")).join("|");
}
