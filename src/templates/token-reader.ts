/** Reads the tokens of a template one after the other. */

import { depthMax } from "./ast.ts";
import type { Token, TokenKind } from "./lexer.ts";
import { problemAt, TemplateError } from "./template-error.ts";

export class TokenReader {
  readonly source: string;
  readonly #tokens: readonly Token[];
  #index = 0;
  #depth = 0;

  constructor(source: string, tokens: readonly Token[]) {
    this.source = source;
    this.#tokens = tokens;
  }

  /** The next token, which stays the next. */
  get next(): Token {
    return this.#tokens[this.#index] ?? this.#tokens.at(-1)!;
  }

  /** The token after the next. */
  get second(): Token {
    return this.#tokens[this.#index + 1] ?? this.#tokens.at(-1)!;
  }

  take(): Token {
    const token = this.next;
    this.#index += 1;
    return token;
  }

  is(kind: TokenKind, ...values: readonly string[]): boolean {
    const { next } = this;
    return next.kind === kind && (values.length === 0 || values.includes(next.value));
  }

  /** Takes the next token if it is this one. */
  takeIf(kind: TokenKind, ...values: readonly string[]): Token | null {
    return this.is(kind, ...values) ? this.take() : null;
  }

  /** @throws TemplateError if the next token is another one */
  expect(kind: TokenKind, value: string, instead: string): Token {
    return this.takeIf(kind, value) ?? this.fail(`expected ${instead}, found ${shown(this.next)}`);
  }

  /** Does something one level deeper. @throws TemplateError when the template is nested too deeply */
  nested<T>(parse: () => T): T {
    this.#depth += 1;
    if (this.#depth > depthMax) this.fail("it is nested too deeply");
    const parsed = parse();
    this.#depth -= 1;
    return parsed;
  }

  /** Bounds the terms of a chain such as `a ~ b ~ c`, each of which is a level. @throws TemplateError */
  checkChain(termCount: number): void {
    if (termCount > depthMax) this.fail("it is nested too deeply");
  }

  fail(problem: string, at: number = this.next.at): never {
    throw new TemplateError(`the template cannot be read: ${problemAt(this.source, at, problem)}`);
  }
}

/** A token as it is quoted in a message. */
export function shown({ kind, value }: Token): string {
  if (kind === "end") return "the end of the template";
  if (kind === "text") return "text";
  return kind === "string" ? "a string" : value;
}
