/**
 * Reads docs/triggers.md: sections with examples, each of which is a rule and what happens over time.
 *
 * An example is a block marked `timeline` with the nearest `yaml` block above it in its section. Several timelines may
 * follow one rule: each starts from the beginning. A block marked `yaml edited` is a later version of the rule's file.
 */

export interface Block {
  readonly text: string;
  /** The number of its first line of text, counted from 1. */
  readonly line: number;
}

export interface Example {
  readonly rules: Block;
  readonly edited: Block | null;
  readonly timeline: Block;
}

export interface Section {
  readonly title: string;
  readonly line: number;
  /** The text outside of blocks, up to the next heading of any level. */
  readonly prose: string;
  readonly examples: readonly Example[];
}

/** @throws Error naming the line of a block that is out of place or of an unknown kind */
export function sectionsOf(markdown: string, file: string): Section[] {
  const sections: { title: string; line: number; prose: string; examples: Example[] }[] = [];
  let rules: Block | null = null;
  let edited: Block | null = null;
  let open: { kind: string; line: number; texts: string[] } | null = null;
  for (const [index, text] of markdown.split("\n").entries()) {
    const line = index + 1;
    const section = sections.at(-1);
    const [, fence] = /^```(.*)$/.exec(text) ?? [];
    if (open !== null && fence === undefined) {
      open.texts.push(text);
    } else if (open !== null) {
      const block = { text: open.texts.join("\n"), line: open.line + 1 };
      if (open.kind === "yaml") [rules, edited] = [block, null];
      else if (open.kind === "yaml edited") edited = block;
      else if (open.kind === "timeline" && rules !== null) {
        section?.examples.push({ rules, edited, timeline: block });
      } else if (open.kind !== "text") {
        throw new Error(
          `${file}:${open.line}: a block marked "${open.kind}" cannot be here: rules are yaml, then come timelines`,
        );
      }
      open = null;
    } else if (fence !== undefined) {
      open = { kind: fence.trim(), line, texts: [] };
    } else if (/^#+ /.test(text)) {
      sections.push({ title: text.replace(/^#+ /, ""), line, prose: "", examples: [] });
      [rules, edited] = [null, null];
    } else if (section !== undefined) {
      section.prose += `${text}\n`;
    }
  }
  if (open !== null) throw new Error(`${file}:${open.line}: this block is never closed`);
  return sections;
}

/** The anchor by which links refer to a heading. */
export function anchorOf(title: string): string {
  return title
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}

/** The anchors of all headings of a document. */
export function anchorsOf(markdown: string): Set<string> {
  const text = markdown.replaceAll(/^ *```[\s\S]*?^ *```$/gm, "");
  return new Set([...text.matchAll(/^#+ (.*)$/gm)].map(([, title = ""]) => anchorOf(title)));
}

/** The target of each link to a heading: `[text](file.md#anchor)`. */
export function linksIn(markdown: string): { readonly file: string; readonly anchor: string }[] {
  return [...markdown.matchAll(/\]\(([\w./-]*)#([^)\s]*)\)/g)].map(([, file = "", anchor = ""]) => ({
    file,
    anchor,
  }));
}
