/**
 * Reads YAML (and JSON, which is YAML) into a tree in which every key and value knows its place.
 *
 * The tree contains plain data only: text, numbers, true, false, null, lists, and mappings with text as keys. Other YAML
 * features are refused here, with the place and the remedy, so that the rest of the program never sees them.
 */

import {
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import { type AnyNumber, readDecimal, readNumber } from "../core/json/exact-number.ts";
import { mentionsReferences } from "../core/model/reference.ts";
import type { Place } from "./diagnostic.ts";

/** Where a part of a text begins and where it ends: offsets, the end exclusive. */
export type TextSpan = readonly [start: number, end: number];

export interface RuleScalar {
  readonly kind: "scalar";
  readonly place: Place;
  /** Null for a value that is not written out. */
  readonly span: TextSpan | null;
  value: string | AnyNumber | boolean | null;
  /** The text as it was written, if `value` was filled in from the environment. */
  readonly written?: string;
  /** For a number: how the file writes it, such as 1.10. */
  readonly source?: string;
}

export interface RuleList {
  readonly kind: "list";
  readonly place: Place;
  readonly items: readonly RuleNode[];
}

export interface RuleEntry {
  readonly keyPlace: Place;
  readonly node: RuleNode;
}

export interface RuleMapping {
  readonly kind: "mapping";
  readonly place: Place;
  /** Comments that follow it belong to its span, too. */
  readonly span: TextSpan;
  entries: Map<string, RuleEntry>;
}

export type RuleNode = RuleScalar | RuleList | RuleMapping;

export interface RuleMistake {
  readonly place: Place;
  readonly message: string;
}

/** Limits on a rule file. A file within them is read in well under a second, whatever it contains. */
export const ruleFileBytesMax = 1_048_576;
const nodeCountMax = 100_000; // counted with every alias written out: stops an alias bomb
const depthMax = 100;

/** Reads all documents of a rule file. Empty documents are left out. */
export function parseRuleText(text: string): { documents: RuleNode[]; mistakes: RuleMistake[] } {
  const lineCounter = new LineCounter();
  let documents: Document.Parsed[];
  try {
    const options = { lineCounter, prettyErrors: false, uniqueKeys: false, version: "1.2" } as const;
    documents = [...parseAllDocuments(text, options)];
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return { documents: [], mistakes: [{ place: { line: 1, column: 1 }, message: tooDeep }] };
  }
  const reader = new TreeReader(lineCounter, text);
  const trees = documents.map((document) => reader.read(document)).filter((tree) => tree !== null);
  return { documents: trees, mistakes: reader.mistakes };
}

/** The plain value of a tree, as `parseExactJson` would give it. */
export function plainValueOf(node: RuleNode): unknown {
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list") return node.items.map(plainValueOf);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plainValueOf(entry.node)]));
}

/** A copy of the tree with every scalar replaced by the result of `change`. */
export function mapScalars(node: RuleNode, change: (scalar: RuleScalar) => RuleScalar): RuleNode {
  if (node.kind === "scalar") return change(node);
  if (node.kind === "list") return { ...node, items: node.items.map((item) => mapScalars(item, change)) };
  return mapEntries(node, (_key, child) => mapScalars(child, change));
}

/** A copy of the mapping with every value replaced by the result of `change`. */
export function mapEntries(
  mapping: RuleMapping,
  change: (key: string, node: RuleNode) => RuleNode,
): RuleMapping {
  const entries = [...mapping.entries].map(
    ([key, entry]) => [key, { ...entry, node: change(key, entry.node) }] as const,
  );
  return { ...mapping, entries: new Map(entries) };
}

class TreeReader {
  readonly mistakes: RuleMistake[] = [];
  readonly #lineCounter: LineCounter;
  readonly #text: string;
  /** The anchored nodes so far. The yaml package's own lookup walks the whole document for each alias. */
  #anchors = new Map<string, Node>();
  #nodeCount = 0;
  #isOverflowing = false;

  constructor(lineCounter: LineCounter, text: string) {
    this.#lineCounter = lineCounter;
    this.#text = text;
  }

  read(document: Document.Parsed): RuleNode | null {
    for (const warning of document.warnings)
      this.#report(this.#place(warning.pos[0]), this.#syntaxMessage(warning));
    const problems = document.errors;
    if (problems.length > 0) {
      // Further errors in a line mostly follow from the first one.
      const placed = problems.map((error) => ({ error, place: this.#place(startOf(error, document)) }));
      const lines = new Map(placed.toReversed().map((found) => [found.place.line, found]));
      for (const { error, place } of lines.values()) this.#report(place, this.#syntaxMessage(error));
      return null;
    }
    if (document.contents === null) return null;
    this.#anchors = new Map();
    const mistakeCount = this.mistakes.length;
    const start = this.#place(document.contents.range[0]);
    const tree = this.#node(document.contents, start, 0);
    if (this.mistakes.length > mistakeCount) return null;
    return tree.kind === "scalar" && tree.value === null ? null : tree;
  }

  #node(node: Node | null, keyPlace: Place, depth: number): RuleNode {
    const place = node?.range ? this.#place(node.range[0]) : keyPlace;
    const span: TextSpan | null = node?.range ? [node.range[0], node.range[1]] : null;
    const nothing: RuleScalar = { kind: "scalar", place, span, value: null };
    if (depth > depthMax) return this.#overflow(nothing, tooDeep);
    if (++this.#nodeCount > nodeCountMax) return this.#overflow(nothing, tooMany);
    if (isAlias(node)) {
      const target = this.#anchors.get(node.source);
      if (target === undefined)
        return this.#refuse(
          nothing,
          `no anchor &${node.source} comes before this alias; a pattern that begins with * needs quotes: "*${node.source}"`,
        );
      return this.#node(target, place, depth + 1);
    }
    this.#remember(node);
    if (isMap(node)) return this.#mapping(node, place, depth);
    if (isSeq(node)) {
      const items = node.items.map((item) => this.#node(item as Node | null, place, depth + 1));
      return { kind: "list", place, items };
    }
    if (!isScalar(node)) return nothing;
    const { value } = node;
    if (typeof value === "number") {
      const { source = String(value) } = node;
      const read = numberOf(source);
      if (read !== null) return { kind: "scalar", place, span, value: read, source };
      return this.#refuse(nothing, `${source} is not a number in JSON; put it in quotes: "${source}"`);
    }
    if (value === null || typeof value === "string" || typeof value === "boolean") {
      return { kind: "scalar", place, span, value };
    }
    return this.#refuse(nothing, `a value of the YAML type ${node.tag} is not supported; write it as text`);
  }

  #mapping(node: YAMLMap, place: Place, depth: number): RuleMapping {
    const entries = new Map<string, RuleEntry>();
    const merged: RuleMapping[] = [];
    for (const { key, value } of node.items) {
      const keyNode = key as Node | null;
      const keyPlace = keyNode?.range ? this.#place(keyNode.range[0]) : place;
      this.#remember(keyNode);
      const child = this.#node(value as Node | null, keyPlace, depth + 1);
      if (!isScalar(keyNode) || typeof keyNode.value !== "string") {
        this.#report(keyPlace, keyMessage(keyNode));
        continue;
      }
      const name = keyNode.value;
      const first = entries.get(name);
      if (name === "<<" && keyNode.type === "PLAIN") merged.push(...this.#mergedFrom(child, keyPlace));
      else if (mentionsReferences(name)) {
        this.#report(keyPlace, "a key cannot come from the environment; write it out");
      } else if (first !== undefined) {
        const { line, column } = first.keyPlace;
        this.#report(keyPlace, `${name} is given twice, first at ${line}:${column}; remove one of them`);
      } else {
        entries.set(name, { keyPlace, node: child });
      }
    }
    // Keys that are written here win, wherever the merge key stands; of several mappings, the first that has a key.
    for (const mapping of merged) {
      for (const [name, entry] of mapping.entries) if (!entries.has(name)) entries.set(name, entry);
    }
    const [start = 0, end = 0] = node.range ?? [];
    return { kind: "mapping", place, span: [start, end], entries };
  }

  /** The mappings that a merge key (<<) takes keys from. They keep their own places. */
  #mergedFrom(value: RuleNode, keyPlace: Place): RuleMapping[] {
    const mappings = value.kind === "list" ? value.items : [value];
    const found = mappings.filter((each) => each.kind === "mapping");
    if (found.length < mappings.length || found.length === 0) {
      this.#report(
        keyPlace,
        "a merge key (<<) takes the keys of a mapping, or of a list of mappings; give it an alias: <<: *name",
      );
    }
    return found;
  }

  #remember(node: Node | null): void {
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined && node !== null) this.#anchors.set(anchor, node);
  }

  #refuse<T extends RuleNode>(standIn: T, message: string): T {
    this.#report(standIn.place, message);
    return standIn;
  }

  /** Reported once: the rest of a document that is too large would repeat the message. */
  #overflow(standIn: RuleScalar, message: string): RuleScalar {
    if (this.#isOverflowing) return standIn;
    this.#isOverflowing = true;
    return this.#refuse(standIn, message);
  }

  #syntaxMessage({ code, message, pos: [start, end] }: YAMLError): string {
    if (/call stack/i.test(message)) return tooDeep;
    const written = this.#text.slice(start, end);
    // Tags are almost never intended here, and patterns begin with the same character.
    if (code === "TAG_RESOLVE_FAILED" && /^![^!]/.test(written))
      return `${written} is a YAML tag, which is not supported; a pattern that begins with ! needs quotes: "${written}"`;
    if (code === "MISSING_CHAR" && /^missing closing/i.test(message))
      return "this quote is not closed; add the closing quote where the text ends";
    return remedies[code] ?? `this is not valid YAML: ${lowerFirst(message)}`;
  }

  #report(place: Place, message: string): void {
    this.mistakes.push({ place, message });
  }

  #place(offset: number): Place {
    const { line, col } = this.#lineCounter.linePos(offset);
    return { line, column: col };
  }
}

/** Reads a number as YAML writes it, with all its digits; null for `.inf` and `.nan`, which JSON does not have. */
function numberOf(source: string): AnyNumber | null {
  return /^0[ox]/.test(source) ? readNumber(String(BigInt(source))) : readDecimal(source);
}

function keyMessage(key: Node | null): string {
  if (isScalar(key)) {
    const shown = key.source ?? String(key.value);
    return shown === ""
      ? "a key is missing before the colon; write one"
      : `a key should be text; found ${shown}; put it in quotes: "${shown}"`;
  }
  if (isAlias(key)) return "an alias cannot be a key; write the key out";
  return 'a key should be text; found a mapping or list; a value that begins with {{ needs quotes: "{{ … }}"';
}

/** Where a mistake begins. For an unclosed quote, that is the opening quote and not the end of the file. */
function startOf({ code, pos: [start] }: YAMLError, document: Document.Parsed): number {
  let opened = start;
  if (code !== "MISSING_CHAR") return opened;
  visit(document, {
    Scalar(_key, { type, range }) {
      const isQuoted = type === "QUOTE_DOUBLE" || type === "QUOTE_SINGLE";
      if (isQuoted && range && range[0] <= start && start <= range[1]) opened = range[0];
    },
  });
  return opened;
}

const remedies: Readonly<Record<string, string>> = {
  TAB_AS_INDENT: "a tab is used as indentation; use spaces",
  BLOCK_AS_IMPLICIT_KEY:
    "a value on one line cannot contain another key; put the value in quotes, or indent it on the next line",
  BAD_SCALAR_START: "a value cannot begin with this character; put the value in quotes",
  BAD_DQ_ESCAPE: "this escape is not valid in double quotes; write the backslash twice, or use single quotes",
  BAD_ALIAS: 'a value that begins with * is an alias; a pattern needs quotes: "*"',
  MULTILINE_IMPLICIT_KEY:
    "a key should be on one line; put a space after its colon, or close the open quote or bracket",
  TAG_RESOLVE_FAILED: "this YAML tag is not supported; remove it, and put the value in quotes if it is text",
};

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

const tooDeep = `nested more than ${depthMax} levels deep; flatten it (an alias inside its own anchor never ends)`;
const tooMany = `more than ${nodeCountMax} values with aliases expanded; split the file, or use fewer aliases`;
