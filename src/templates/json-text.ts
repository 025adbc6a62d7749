/** Finds what may break a text that is meant as JSON: `'{"text": "{{ event.payload.note }}"}'`. */

import type { Expression, Print, Statement } from "./ast.ts";
import { contextNames } from "./check.ts";
import { certain } from "./shapes.ts";
import { isTemplate, programOf } from "./template.ts";
import { expressionShape } from "./type-check.ts";

/** Why a template may not give valid JSON, although it is written as JSON; null if nothing is found. */
export function jsonTextProblem(source: string): string | null {
  if (!isTemplate(source)) return null;
  const { body } = programOf(source);
  const written = textIn(body).trimStart();
  // As the start of an object or a list; a text such as [low] is no JSON.
  if (!/^(?:\{\s*["}]|\[\s*["{[])/.test(written)) return null;
  const reader = new JsonReader(source);
  reader.read(body);
  return reader.problem;
}

function textIn(body: readonly Statement[]): string {
  const pieces = body.map((statement) => {
    if (statement.type === "Text") return statement.value;
    return statement.type === "If" || statement.type === "For" || statement.type === "With"
      ? textIn(statement.body)
      : "";
  });
  return pieces.join("");
}

/** Follows the strings of a JSON text through a template. Each branch is read once, in the order of the source. */
class JsonReader {
  readonly #source: string;
  #isInString = false;
  problem: string | null = null;

  constructor(source: string) {
    this.#source = source;
  }

  read(body: readonly Statement[]): void {
    for (const statement of body) {
      if (this.problem !== null) return;
      if (statement.type === "Text") this.#text(statement.value);
      else if (statement.type === "Print") this.#print(statement);
      else if (statement.type === "For" || statement.type === "If") {
        this.read(statement.body);
        this.read(statement.otherwise);
      } else if (statement.type === "With") this.read(statement.body);
    }
  }

  #text(text: string): void {
    for (let index = 0; index < text.length; index++) {
      if (text[index] === "\\" && this.#isInString) index += 1;
      else if (text[index] === '"') this.#isInString = !this.#isInString;
    }
  }

  #print({ value, at }: Print): void {
    const written = this.#source.slice(at, this.#source.indexOf("}}", at) + 2);
    if (endsWith(value, "tojson")) {
      if (this.#isInString)
        this.problem = `${written} stands between quotes, but tojson writes its own; remove the quotes around it`;
      return;
    }
    const shape = certain(expressionShape(value, contextNames));
    if (this.#isInString) {
      const isPlain =
        shape.kind === "number" || shape.kind === "truth" || (shape.kind === "text" && shape.of !== "any");
      if (isPlain || endsWith(value, "urlencode")) return;
      this.problem = `${written} stands inside a JSON string, so a quote or line break in its value makes the payload invalid`;
    } else if (shape.kind === "text") {
      this.problem = `${written} is a text and stands where JSON needs quotes, so the payload is invalid`;
    }
  }
}

function endsWith(value: Expression, filter: string): boolean {
  return value.type === "Filter" && value.filter.name === filter;
}
