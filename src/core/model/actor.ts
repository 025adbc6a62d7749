/** Who changed something. */

export interface Actor {
  readonly type: "api-key" | "no-key" | "rule-files" | "key-file" | "action" | "command";
  /** Of the key, the automation or the person; null if there is none. */
  readonly name: string | null;
  /** Of the key or the automation. */
  readonly id: string | null;
}

/** The rule files that a server watches. */
export const ruleFiles: Actor = { type: "rule-files", name: null, id: null };
