/** Colors, used only where a terminal shows them. */

import { styleText } from "node:util";

export type Style = "bold" | "dim" | "red" | "green" | "yellow";

/** True when a stream shows colors: it is a terminal, and NO_COLOR is not set; or FORCE_COLOR is set. */
export function wantsColor(stream: NodeJS.WritableStream = process.stdout): boolean {
  // Node knows the rules and the variables. Asking it by example is the only way to ask.
  return styleText("bold", "x", { stream }) !== "x";
}

/** Colors a text. @param colored by default, whether standard output shows colors */
export function paint(text: string, style: Style, colored = wantsColor()): string {
  return colored ? styleText(style, text, { validateStream: false }) : text;
}
