/** Values as YAML, with all digits of their numbers. */

import {
  type CreateNodeOptions,
  Document,
  type DocumentOptions,
  type ScalarTag,
  type SchemaOptions,
} from "yaml";
import { ExactNumber } from "../core/json/exact-number.ts";

/** Writes numbers with all their digits. */
const exactNumberTag: ScalarTag = {
  tag: "tag:yaml.org,2002:float",
  default: true,
  identify: (value) => value instanceof ExactNumber,
  stringify: ({ value }) => String(value),
  resolve: (text) => text,
};

/** A value as a document, whose layout can still be changed. */
export function yamlDocumentOf(
  value: unknown,
  options: DocumentOptions & SchemaOptions & CreateNodeOptions = {},
): Document {
  return new Document(value, { customTags: [exactNumberTag], ...options });
}
