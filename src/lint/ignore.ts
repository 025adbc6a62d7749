/**
 * Comments that silence warnings: `# tripline-ignore TL301: the loop is cut, which is fine here`.
 *
 * A comment applies to its own line and to the next line with more than a comment. Above an automation's first line or
 * its second key, it applies to the whole automation. It must name codes and give a reason.
 */

import { Lexer } from "yaml";
import type { Place } from "../rules/diagnostic.ts";
import { type WarningCode, warningCodes } from "./warning.ts";

export interface IgnoreComment extends Place {
  readonly codes: readonly WarningCode[];
  /** The lines that it applies to. */
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
    const rest = /^#+\s*tripline-ignore\b(.*)$/.exec(comment)?.[1];
    if (rest === undefined) continue;
    const [list = "", ...afterColon] = rest.split(":");
    const reason = afterColon.join(":");
    const codes = list.split(/[\s,]+/).filter((code) => code !== "");
    const unknown = codes.find((code) => !Object.hasOwn(warningCodes, code));
    const form = `write # ${keyword} TL301: followed by the reason`;
    if (codes.length === 0)
      mistakes.push({ ...place, reason: "the comment does not name a warning", fix: form });
    else if (unknown !== undefined) {
      const fix = "write codes as tripline check prints them, separated by commas and followed by a colon";
      mistakes.push({ ...place, reason: `there is no warning ${unknown}`, fix });
    } else if (reason.trim() === "") {
      const fix = `add the reason after a colon: # ${keyword} ${codes.join(", ")}: …`;
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

/** The comments of a YAML file, without text values that look like comments. */
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

// The marks that the lexer puts between the pieces of the text.
const marks: readonly string[] = ["\u0002", "\u0018", "\u001f"];
