/** `slack`: an incoming webhook of Slack. */

import { cut } from "../../core/model/cut.ts";
import { chatKind, type Notification } from "./kind.ts";

// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks; Slack itself cuts longer texts.
const textLengthMax = 40_000;

export const slack = chatKind(messageOf);

/** Slack markup in the body works (`*bold*`), but nothing in an event can address a channel or disguise a link. */
function messageOf({ subject, body }: Notification): object {
  const title = subject === "" ? "" : `*${escapeMarkup(subject)}*\n`;
  return { text: cut(title + escapeMarkup(body), textLengthMax) };
}

function escapeMarkup(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
