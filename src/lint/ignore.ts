/**
 * Comments that silence warnings: `# tripline-ignore TL301: such a circle is cut, and that is fine here`.
 *
 * A comment holds for its own line and for the next one that holds more than comments. Above an automation's first
 * line or its second key it holds for the whole automation. It has to name codes and give a reason.
 */

import { Lexer } from "yaml";
import type { Place } from "../rules/diagnostic.ts";
import { type WarningCode, warningCodes } from "./warning.ts";

export interface IgnoreComment extends Place {
  readonly codes: readonly WarningCode[];
  /** The lines that it speaks of. */
  readonly lines: readonly number[];
}

export interface IgnoreMistake extends Place {
  readonly reason: string;
  readonly fix: string;
}

export interface Ignores {
  readonly comments: readonly IgnoreComment[];
  readonly mistakes: readonly IgnoreMistake[];
}

const keyword = "tripline-ignore";

export function readIgnores(text: string): Ignores {
  const comments: IgnoreComment[] = [];
  const mistakes: IgnoreMistake[] = [];
  if (!text.includes(keyword)) return { comments, mistakes };
  const lines = text.split("\n");
  for (const { place, comment } of commentsIn(text)) {
    const said = /^#+\s*tripline-ignore\b(.*)$/.exec(comment)?.[1];
    if (said === undefined) continue;
    const [, list = "", reason = ""] = /^\s+([^:]*?)\s*(?::\s*(.*))?$/.exec(said) ?? [];
    const codes = list.split(/[\s,]+/).filter((code) => code !== "");
    const unknown = codes.find((code) => !Object.hasOwn(warningCodes, code));
    const form = `write # ${keyword} TL301: and the reason`;
    if (codes.length === 0)
      mistakes.push({ ...place, reason: "the comment does not name a warning", fix: form });
    else if (unknown !== undefined) {
      const fix = "name codes as tripline check prints them, separated by commas, and then a colon";
      mistakes.push({ ...place, reason: `there is no warning ${unknown}`, fix });
    } else if (reason.trim() === "") {
      const fix = `give the reason after a colon: # ${keyword} ${codes.join(", ")}: …`;
      mistakes.push({ ...place, reason: "the comment gives no reason", fix });
    } else {
      const next = lines.findIndex((line, index) => index >= place.line && !/^\s*(#|$)/.test(line));
      comments.push({
        ...place,
        codes: codes as WarningCode[],
        lines: [place.line, ...(next === -1 ? [] : [next + 1])],
      });
    }
  }
  return { comments, mistakes };
}

/** The comments of a YAML text; what only looks like one, inside a text, is none. */
function* commentsIn(text: string): Iterable<{ place: Place; comment: string }> {
  let line = 1;
  let column = 1;
  for (const token of new Lexer().lex(text)) {
    if (marks.includes(token)) continue;
    if (token.startsWith("#")) yield { place: { line, column }, comment: token.trimEnd() };
    const breaks = token.split("\n").length - 1;
    column = breaks === 0 ? column + token.length : token.length - token.lastIndexOf("\n");
    line += breaks;
  }
}

// What the lexer puts between the pieces of the text.
const marks: readonly string[] = ["\u0002", "\u0018", "\u001f"];
