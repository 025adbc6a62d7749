/** Checks the API's answers against its OpenAPI document. */

import { Ajv, type ValidateFunction } from "ajv";
import type { Hono } from "hono";
import type { Route } from "../../src/api/http/route.ts";
import { type OpenApiDocument, openApiDocument } from "../../src/api/openapi/document.ts";
import { isPrefectClient } from "../../src/api/prefect/action-stand-ins.ts";

interface ResponseObject {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

const bases = /^\/api(?:\/accounts\/[^/]+\/workspaces\/[^/]+)?(?=\/)/;

/** Finds where an answer differs from the document. */
class DocumentedAnswers {
  readonly #document: OpenApiDocument;
  readonly #ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
  readonly #validators = new Map<string, ValidateFunction>();

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.#ajv.addSchema(asJsonSchema({ components: document.components }), "document");
  }

  /**
   * The mistakes of an answer: none if it is as documented, or if no operation has this path.
   *
   * @param pathname including the base of the API
   */
  mistakes(method: string, pathname: string, status: number, type: string | null, text: string): string[] {
    const found = this.#operation(method.toLowerCase(), pathname.replace(/(?<=.)\/$/, ""));
    if (found === null) return [];
    const { name, responses } = found;
    const response = responses[status];
    if (response === undefined) return [`${name} does not document the status ${status}`];
    const mediaType = type?.split(";")[0]?.trim() ?? "";
    const schema = response.content?.[mediaType]?.schema;
    if (text === "") return response.content === undefined ? [] : [`${name} ${status} should have a body`];
    if (schema === undefined) return [`${name} ${status} does not document a body of the type ${mediaType}`];
    if (mediaType !== "application/json") return [];
    const key = `${name} ${status}`;
    const validate = this.#validators.get(key) ?? this.#ajv.compile(asJsonSchema(schema));
    this.#validators.set(key, validate);
    if (validate(JSON.parse(text))) return [];
    return (validate.errors ?? []).map(({ instancePath, message }) => `${key}: ${instancePath} ${message}`);
  }

  #operation(
    method: string,
    pathname: string,
  ): { readonly name: string; readonly responses: Readonly<Record<string, ResponseObject>> } | null {
    const isApi = bases.test(pathname);
    const path = pathname.replace(bases, "");
    const candidates = Object.entries(this.#document.paths)
      .filter(
        ([template, item]) => isApi !== "servers" in item && method in item && patternOf(template).test(path),
      )
      // The most specific one: `/events/filter` rather than `/events/{id}`.
      .sort(([a], [b]) => a.split("{").length - b.split("{").length);
    const [template, item] = candidates[0] ?? [];
    if (template === undefined) return null;
    const operation = item?.[method] as { readonly responses: Readonly<Record<string, ResponseObject>> };
    return { name: `${method} ${template}`, responses: operation.responses };
  }
}

/** The app, except that an undocumented answer becomes a 555 that says why and fails its test. */
export function checkedAgainstDocument(app: Hono, routes: readonly Route[]): Pick<Hono, "fetch"> {
  const documented = new DocumentedAnswers(openApiDocument(routes));
  const fetch: Hono["fetch"] = async (request, ...rest) => {
    const response = await app.fetch(request, ...rest);
    const { method, url } = request;
    const { status, headers } = response;
    // Prefect's client gets stand-ins, and a 500 is a fault: the document describes neither.
    const isExempt = isPrefectClient(request.headers) || status === 500;
    if (isExempt || method === "HEAD" || method === "OPTIONS") return response;
    const text = await response.clone().text();
    const type = headers.get("content-type");
    const mistakes = documented.mistakes(method, new URL(url).pathname, status, type, text);
    return mistakes.length === 0
      ? response
      : Response.json({ undocumented: mistakes, text }, { status: 555 });
  };
  return { fetch };
}

function patternOf(template: string): RegExp {
  // The ids of resources may contain slashes.
  const pattern = template.replaceAll("{resource}", ".+").replaceAll(/\{\w+\}/g, "[^/]+");
  return new RegExp(`^${pattern}$`);
}

/** OpenAPI 3.0's dialect as JSON Schema. */
export function asJsonSchema(value: unknown): object {
  const visit = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(visit);
    if (typeof part !== "object" || part === null) return part;
    const { nullable, discriminator: _, ...rest } = part as Record<string, unknown>;
    const copy = Object.fromEntries(Object.entries(rest).map(([key, inner]) => [key, visit(inner)]));
    if (typeof copy["$ref"] === "string") copy["$ref"] = copy["$ref"].replace(/^#/, "document#");
    return nullable === true ? { anyOf: [copy, { type: "null" }] } : copy;
  };
  return visit(value) as object;
}
