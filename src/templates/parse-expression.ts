/** Parses an expression. The grammar and its precedence are Jinja's. */

import { readNumber } from "../core/json/exact-number.ts";
import type { AppliedOperation, Argument, Expression, Member, Slice } from "./ast.ts";
import type { Token } from "./lexer.ts";
import { shown, type TokenReader } from "./token-reader.ts";

const keywords: ReadonlySet<string> = new Set(["and", "or", "not", "if", "else", "elif", "in", "is", "for"]);
const orders = ["==", "!=", "<", "<=", ">", ">="];

/** An expression, or several separated by commas. */
export function parseExpressions(reader: TokenReader): Expression {
  const first = parseExpression(reader);
  return reader.is("operator", ",") ? parseTuple(reader, first) : first;
}

/** The rest of a tuple, from the comma after its first item. */
function parseTuple(reader: TokenReader, first: Expression): Expression {
  const items = [first];
  while (reader.takeIf("operator", ",")) {
    if (reader.is("statement-end") || reader.is("expression-end") || reader.is("operator", ")", "=")) break;
    items.push(parseExpression(reader));
  }
  return { type: "Tuple", items, at: first.at };
}

export function parseExpression(reader: TokenReader): Expression {
  return reader.nested(() => {
    let value = parseOr(reader);
    while (reader.takeIf("name", "if")) {
      const test = parseOr(reader);
      const otherwise = reader.takeIf("name", "else") ? parseExpression(reader) : null;
      value = { type: "Conditional", value, test, otherwise, at: value.at };
    }
    return value;
  });
}

/** An expression without `if` and `else` of its own, as in the head of a loop. */
export const parseOr = leftToRight("name", ["or"], leftToRight("name", ["and"], parseNot));

function parseNot(reader: TokenReader): Expression {
  const not = reader.takeIf("name", "not");
  if (not === null) return parseComparison(reader);
  return { type: "Unary", operator: "not", operand: reader.nested(() => parseNot(reader)), at: not.at };
}

function parseComparison(reader: TokenReader): Expression {
  const first = parseSum(reader);
  const rest: { operator: string; operand: Expression }[] = [];
  for (let operator = takeComparison(reader); operator !== null; operator = takeComparison(reader))
    rest.push({ operator, operand: parseSum(reader) });
  return rest.length === 0 ? first : { type: "Comparison", first, rest, at: first.at };
}

function takeComparison(reader: TokenReader): string | null {
  if (reader.is("operator", ...orders)) return reader.take().value;
  if (reader.takeIf("name", "in")) return "in";
  if (!reader.is("name", "not") || reader.second.kind !== "name" || reader.second.value !== "in") return null;
  reader.take();
  reader.take();
  return "not in";
}

const parsePower = leftToRight("operator", ["**"], (reader) => parseUnary(reader));
const parseProduct = leftToRight("operator", ["*", "/", "//", "%"], parsePower);
const parseSum = leftToRight("operator", ["+", "-"], leftToRight("operator", ["~"], parseProduct));

/** Terms of one precedence. */
function leftToRight(
  kind: "operator" | "name",
  operators: readonly string[],
  parseTerm: (reader: TokenReader) => Expression,
) {
  return (reader: TokenReader): Expression => {
    let left = parseTerm(reader);
    for (let count = 1; reader.is(kind, ...operators); count++) {
      reader.checkChain(count);
      const { value: operator } = reader.take();
      left = { type: "Binary", operator, left, right: parseTerm(reader), at: left.at };
    }
    return left;
  };
}

function parseUnary(reader: TokenReader, withFilters = true): Expression {
  const sign = reader.takeIf("operator", "-", "+");
  let value: Expression;
  if (sign === null) value = parsePostfix(reader, parsePrimary(reader));
  else {
    const operand = reader.nested(() => parseUnary(reader, false));
    value = { type: "Unary", operator: sign.value as "-" | "+", operand, at: sign.at };
  }
  return withFilters ? parseFiltersAndTests(reader, value) : value;
}

function parseFiltersAndTests(reader: TokenReader, start: Expression): Expression {
  let operand = start;
  for (let count = 0; ; count++) {
    reader.checkChain(count);
    if (reader.takeIf("operator", "|")) {
      operand = { type: "Filter", operand, filter: parseFilter(reader), at: operand.at };
    } else if (reader.takeIf("name", "is")) {
      const negated = reader.takeIf("name", "not") !== null;
      operand = { type: "Test", operand, negated, test: parseTest(reader), at: operand.at };
    } else if (operand.type === "Filter" && reader.is("operator", ".", "[")) {
      reader.fail(`put the filter and the value before it in parentheses: (… | ${operand.filter.name})`);
    } else return operand;
  }
}

/** The name of a filter, with its arguments if it has any. */
export function parseFilter(reader: TokenReader): AppliedOperation {
  const { value: name, at } = takeName(reader, "the name of a filter");
  return { name, args: reader.is("operator", "(") ? parseArguments(reader) : [], at };
}

/** `is defined`, `is divisibleby(3)` or `is divisibleby 3`. */
function parseTest(reader: TokenReader): AppliedOperation {
  const { value: name, at } = takeName(reader, "the name of a test");
  if (reader.is("operator", "(")) return { name, args: parseArguments(reader), at };
  const { kind, value } = reader.next;
  const isArgument =
    kind === "string" ||
    kind === "number" ||
    (kind === "name" && !keywords.has(value)) ||
    (kind === "operator" && ["[", "{"].includes(value));
  return { name, args: isArgument ? [parsePostfix(reader, parsePrimary(reader))] : [], at };
}

function parseArguments(reader: TokenReader): Argument[] {
  reader.expect("operator", "(", "(");
  const args: Argument[] = [];
  while (!reader.is("operator", ")")) {
    if (reader.is("operator", "*", "**")) reader.fail(`${reader.next.value} cannot be used on arguments`);
    const isNamed = reader.is("name") && reader.second.kind === "operator" && reader.second.value === "=";
    if (isNamed) {
      const { value: name, at } = reader.take();
      reader.take();
      args.push({ type: "KeywordArgument", name, value: parseExpression(reader), at });
    } else if (args.some(({ type }) => type === "KeywordArgument")) {
      reader.fail("an argument without a name must come before those with names");
    } else args.push(parseExpression(reader));
    if (!reader.takeIf("operator", ",")) break;
  }
  reader.expect("operator", ")", "a comma or )");
  return args;
}

function parsePostfix(reader: TokenReader, start: Expression): Expression {
  let object = start;
  for (let count = 0; ; count++) {
    reader.checkChain(count);
    const { at } = reader.next;
    if (reader.is("operator", "(")) {
      object = { type: "Call", callee: object, args: parseArguments(reader), at: object.at };
    } else if (reader.takeIf("operator", ".")) {
      object = { type: "Member", object, property: parseAttribute(reader), computed: false, at };
    } else if (reader.takeIf("operator", "[")) {
      const property = parseSubscript(reader);
      reader.expect("operator", "]", "]");
      object = { type: "Member", object, property, computed: true, at } satisfies Member;
    } else return object;
  }
}

function parseAttribute(reader: TokenReader): Expression {
  const token = reader.takeIf("name") ?? reader.takeIf("number");
  if (token === null) return reader.fail(`expected a name after the dot, found ${shown(reader.next)}`);
  const { value, at } = token;
  if (token.kind === "name") return { type: "Identifier", value, at };
  return { type: "Literal", value: numberOf(value), refers: false, at };
}

function parseSubscript(reader: TokenReader): Expression | Slice {
  const { at } = reader.next;
  const bound = () => (reader.is("operator", ":", "]") ? null : parseExpression(reader));
  const start = bound();
  if (!reader.takeIf("operator", ":")) return start ?? reader.fail("[] needs a key, an index or a slice");
  const stop = bound();
  const step = reader.takeIf("operator", ":") ? bound() : null;
  return { type: "Slice", start, stop, step, at };
}

function parsePrimary(reader: TokenReader): Expression {
  const token = reader.next;
  const { kind, value, at } = token;
  if (kind === "name" && !keywords.has(value)) {
    reader.take();
    return { type: "Identifier", value, at };
  }
  if (kind === "string") return parseStrings(reader);
  if (kind === "number") {
    reader.take();
    return { type: "Literal", value: numberOf(value), refers: false, at };
  }
  if (kind === "operator" && value === "(") return reader.nested(() => parseParentheses(reader));
  if (kind === "operator" && value === "[") return parseList(reader);
  if (kind === "operator" && value === "{") return parseMapping(reader);
  return reader.fail(`expected a value, found ${shown(token)}`);
}

/** Strings that stand side by side are one. */
function parseStrings(reader: TokenReader): Expression {
  const { at } = reader.next;
  const strings: Token[] = [];
  while (reader.is("string")) strings.push(reader.take());
  const refers = strings.some((token) => token.refers === true);
  return { type: "Literal", value: strings.map((token) => token.value).join(""), refers, at };
}

function parseParentheses(reader: TokenReader): Expression {
  const { at } = reader.take();
  if (reader.takeIf("operator", ")")) return { type: "Tuple", items: [], at };
  const value = parseExpressions(reader);
  reader.expect("operator", ")", "a comma or )");
  return value;
}

function parseList(reader: TokenReader): Expression {
  const { at } = reader.take();
  const items: Expression[] = [];
  while (!reader.is("operator", "]")) {
    items.push(parseExpression(reader));
    if (!reader.takeIf("operator", ",")) break;
  }
  reader.expect("operator", "]", "a comma or ]");
  return { type: "List", items, at };
}

function parseMapping(reader: TokenReader): Expression {
  const { at } = reader.take();
  const entries: { key: Expression; value: Expression }[] = [];
  while (!reader.is("operator", "}")) {
    const key = parseExpression(reader);
    reader.expect("operator", ":", "a colon after the key");
    entries.push({ key, value: parseExpression(reader) });
    if (!reader.takeIf("operator", ",")) break;
  }
  reader.expect("operator", "}", "a comma or }");
  return { type: "Mapping", entries, at };
}

function takeName(reader: TokenReader, what: string): Token {
  return reader.takeIf("name") ?? reader.fail(`expected ${what}, found ${shown(reader.next)}`);
}

function numberOf(written: string) {
  const digits = written.replaceAll("_", "");
  return readNumber(/^0[xob]/i.test(digits) ? String(BigInt(digits)) : withoutLeadingZeros(digits));
}

function withoutLeadingZeros(digits: string): string {
  let start = 0;
  while (digits[start] === "0" && (digits[start + 1] ?? "") >= "0" && (digits[start + 1] ?? "") <= "9")
    start += 1;
  return digits.slice(start);
}
