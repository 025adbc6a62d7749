/** Texts to read exactly, or to copy. */

import { type ReactNode, useState } from "react";

export interface CodeProps {
  readonly text: string;
  /** What the text is, for those who cannot see it. */
  readonly label: string;
}

/** A text in a fixed-width font, with a button that copies it. */
export function Code({ text, label }: CodeProps): ReactNode {
  return (
    // The text may be wider than the page, so the keyboard must be able to scroll it.
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a scrollable region needs the focus
    <section className="code" tabIndex={0} aria-label={label}>
      <pre>{text}</pre>
      <CopyButton text={text} label={label} />
    </section>
  );
}

export function CopyButton({ text, label }: CodeProps): ReactNode {
  const [isCopied, setCopied] = useState(false);
  // Browsers offer the clipboard to pages of https: and this machine only.
  if (!("clipboard" in navigator) || navigator.clipboard === undefined) return null;
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 2_000);
  };
  return (
    <button type="button" onClick={copy} aria-label={`Copy ${label}`}>
      {isCopied ? "Copied" : "Copy"}
    </button>
  );
}

/** A value as indented JSON. Numbers keep all their digits. */
export function jsonText(value: unknown): string {
  return JSON.stringify(value, null, 2) ?? "";
}
