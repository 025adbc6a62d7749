/** Parses a template: Jinja's statements, in time linear in the template's length. */

import {
  type AppliedOperation,
  type AssignmentTarget,
  depthMax,
  type Expression,
  type For,
  type If,
  type Program,
  type Statement,
} from "./ast.ts";
import { type Token, tokenize } from "./lexer.ts";
import { parseExpression, parseExpressions, parseFilter, parseOr } from "./parse-expression.ts";
import { shown, TokenReader } from "./token-reader.ts";

/**
 * @param refers whether a piece of the source holds a reference to the environment
 * @throws TemplateError with the place of the first mistake
 */
export function parse(source: string, refers: (piece: string) => boolean = () => false): Program {
  const parser = new Parser(new TokenReader(source, tokenize(source, refers)));
  const program: Program = { type: "Program", body: parser.body([]) };
  parser.checkDepth(program);
  return program;
}

/** What people try that Jinja has, but these templates do not. */
const unsupported: Readonly<Record<string, string>> = {
  autoescape: "nothing is escaped by itself; use the filter escape where it is needed",
  macro: "macros cannot be used in a template; write the text where it is needed",
  call: "call blocks cannot be used in a template",
  import: "a template cannot import another one",
  from: "a template cannot import another one",
  include: "a template cannot include another one",
  extends: "a template cannot extend another one",
  block: "blocks cannot be used in a template; write the text where it is needed",
  do: "do cannot be used in a template; use set",
};

const statements = ["if", "for", "set", "with", "filter", "raw", "break", "continue"];

class Parser {
  readonly #reader: TokenReader;

  constructor(reader: TokenReader) {
    this.#reader = reader;
  }

  /**
   * Statements up to one of these, whose opening and name are taken; without any, up to the end.
   *
   * @param opened the statement that they belong to
   */
  body(ends: readonly string[], opened?: Token): Statement[] {
    return this.#reader.nested(() => {
      const body: Statement[] = [];
      for (;;) {
        const token = this.#reader.take();
        const { kind, value, at } = token;
        if (kind === "text") body.push({ type: "Text", value, refers: token.refers === true, at });
        else if (kind === "expression-start") {
          const printed = parseExpressions(this.#reader);
          this.#close("expression-end");
          body.push({ type: "Print", value: printed, at });
        } else if (kind === "statement-start") {
          if (ends.length > 0 && this.#reader.is("name", ...ends)) return body;
          body.push(this.#statement());
        } else if (opened === undefined) return body;
        else this.#reader.fail(`{% ${opened.value} %} is not closed; add {% ${ends.at(-1)} %}`, opened.at);
      }
    });
  }

  /** Bounds the depth of what recursive code walks over, such as the terms of a long sum. */
  checkDepth(program: Program): void {
    const open: [node: unknown, depth: number][] = [[program, 0]];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      const [node, depth] = next;
      if (typeof node !== "object" || node === null) continue;
      if (depth > depthMax) this.#reader.fail("it is nested too deeply", (node as { at?: number }).at ?? 0);
      // A list of nodes is no level of its own.
      const inner = Array.isArray(node) ? depth : depth + 1;
      for (const part of Object.values(node)) open.push([part, inner]);
    }
  }

  #close(kind: "statement-end" | "expression-end"): void {
    const reader = this.#reader;
    const close = kind === "statement-end" ? "%}" : "}}";
    if (!reader.takeIf(kind)) reader.fail(`expected ${close} or an operator, found ${shown(reader.next)}`);
  }

  #statement(): Statement {
    const reader = this.#reader;
    const opening = reader.takeIf("name");
    if (opening === null) return reader.fail(`expected a statement, found ${shown(reader.next)}`);
    const { value: name, at } = opening;
    switch (name) {
      case "if":
        return this.#if(opening);
      case "for":
        return this.#for(opening);
      case "set":
        return this.#set(opening);
      case "with": {
        const names: { target: AssignmentTarget; value: Expression }[] = [];
        while (!reader.is("statement-end")) {
          const target = this.#target();
          reader.expect("operator", "=", "=");
          names.push({ target, value: parseExpression(reader) });
          if (!reader.takeIf("operator", ",")) break;
        }
        this.#close("statement-end");
        return { type: "With", names, body: this.#closedBody(opening), at };
      }
      case "filter": {
        const filters = this.#filters(parseFilter(reader));
        this.#close("statement-end");
        return { type: "FilterBlock", filters, body: this.#closedBody(opening), at };
      }
      case "break":
      case "continue":
        this.#close("statement-end");
        return { type: name === "break" ? "Break" : "Continue", at };
      default: {
        const reason = Object.hasOwn(unsupported, name) ? unsupported[name] : undefined;
        if (reason !== undefined) return reader.fail(reason, at);
        const isEnd = name.startsWith("end") || ["else", "elif"].includes(name);
        return reader.fail(
          isEnd
            ? `{% ${name} %} has no statement to close or continue`
            : `there is no statement ${name}; there are ${statements.join(", ")}`,
          at,
        );
      }
    }
  }

  /** The body of a statement, up to its end, which is taken. */
  #closedBody(opened: Token): Statement[] {
    const body = this.body([`end${opened.value}`], opened);
    this.#reader.take();
    this.#close("statement-end");
    return body;
  }

  #if(opened: Token): If {
    const test = parseExpressions(this.#reader);
    this.#close("statement-end");
    const body = this.body(["elif", "else", "endif"], opened);
    const next = this.#reader.take();
    if (next.value === "elif") {
      // A chain of these is one level each, as the nodes are.
      const otherwise = [this.#reader.nested(() => this.#if({ ...opened, at: next.at }))];
      return { type: "If", test, body, otherwise, at: opened.at };
    }
    this.#close("statement-end");
    const otherwise = next.value === "else" ? this.#closedBody({ ...opened, value: "if" }) : [];
    return { type: "If", test, body, otherwise, at: opened.at };
  }

  #for(opened: Token): For {
    const reader = this.#reader;
    const target = this.#target();
    reader.expect("name", "in", "in");
    const first = parseOr(reader);
    const iterable: Expression = reader.is("operator", ",")
      ? reader.fail("a loop goes over one list; put several values in brackets")
      : first;
    const filter = reader.takeIf("name", "if") ? parseExpression(reader) : null;
    if (reader.is("name", "recursive")) reader.fail("recursive loops cannot be used in a template");
    this.#close("statement-end");
    const body = this.body(["else", "endfor"], opened);
    const { value } = reader.take();
    this.#close("statement-end");
    const otherwise = value === "else" ? this.#closedBody(opened) : [];
    return { type: "For", target, iterable, filter, body, otherwise, at: opened.at };
  }

  #set(opened: Token): Statement {
    const reader = this.#reader;
    const target = this.#target();
    const { at } = opened;
    if (reader.takeIf("operator", "=")) {
      const value = parseExpressions(reader);
      this.#close("statement-end");
      return { type: "Set", target, value, body: [], filters: [], at };
    }
    const filters = reader.takeIf("operator", "|") ? this.#filters(parseFilter(reader)) : [];
    this.#close("statement-end");
    return { type: "Set", target, value: null, body: this.#closedBody(opened), filters, at };
  }

  #filters(first: AppliedOperation): AppliedOperation[] {
    const filters = [first];
    while (this.#reader.takeIf("operator", "|")) filters.push(parseFilter(this.#reader));
    return filters;
  }

  /** Names to assign to, separated by commas or in parentheses, or an entry of a namespace. */
  #target(): AssignmentTarget {
    const reader = this.#reader;
    const first = this.#singleTarget();
    if (!reader.is("operator", ",")) return first;
    const items = [first];
    while (reader.takeIf("operator", ",")) {
      if (!reader.is("name") && !reader.is("operator", "(")) break;
      if (reader.is("name", "in")) break;
      items.push(this.#singleTarget());
    }
    return { type: "Tuple", items, at: first.at };
  }

  #singleTarget(): AssignmentTarget {
    const reader = this.#reader;
    if (reader.takeIf("operator", "(")) {
      const inner = reader.nested(() => this.#target());
      reader.expect("operator", ")", "a comma or )");
      return inner;
    }
    const token = reader.takeIf("name");
    if (token === null) return reader.fail(`expected a name to assign to, found ${shown(reader.next)}`);
    const { value, at } = token;
    if (!reader.takeIf("operator", ".")) return { type: "Identifier", value, at };
    const entry = reader.takeIf("name") ?? reader.fail("expected the name of an entry after the dot");
    const property = { type: "Identifier", value: entry.value, at: entry.at } as const;
    return { type: "Member", object: { type: "Identifier", value, at }, property, computed: false, at };
  }
}
