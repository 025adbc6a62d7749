/** Notifications as chats take them over their incoming webhooks, and as a webhook of one's own gets them. */

import { cut } from "../../core/model/cut.ts";
import type { Notification } from "../actions/send-notification.ts";

/** For a receiver of one's own: the notification and the firing, without any markup. */
export function plainMessage({ subject, body, invocation }: Notification): object {
  const { automation, firing } = invocation;
  return { subject, body, automation, firing };
}

// https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks; longer texts are cut by Slack itself.
const slackLengthMax = 40_000;

/** Slack's mark-up in the body works (`*bold*`), but nothing in an event can address a channel or fake a link. */
export function slackMessage({ subject, body }: Notification): object {
  const title = subject === "" ? "" : `*${escapeSlack(subject)}*\n`;
  return { text: cut(title + escapeSlack(body), slackLengthMax) };
}

function escapeSlack(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

// Teams refuses messages of more than 28 KB; a character may take several bytes.
const teamsTextMax = 5_000;

/** An Adaptive Card, as a Teams workflow posts it when a webhook request is received. */
export function teamsMessage({ subject, body }: Notification): object {
  const title = {
    type: "TextBlock",
    text: cut(subject, 1_000),
    weight: "Bolder",
    size: "Medium",
    wrap: true,
  };
  const content = {
    $schema: "http://adaptivecards.io/schemas/adaptive-card.json",
    type: "AdaptiveCard",
    version: "1.4",
    body: [
      ...(subject === "" ? [] : [title]),
      { type: "TextBlock", text: cut(body, teamsTextMax), wrap: true },
    ],
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}

// https://discord.com/developers/docs/resources/message#embed-object-embed-limits; longer ones are refused.
const discordTitleMax = 256;
const discordTextMax = 4_096;

/** An embed. Nobody is pinged, whatever the texts say. */
export function discordMessage({ subject, body }: Notification): object {
  const embed = {
    ...(subject === "" ? {} : { title: cut(subject, discordTitleMax) }),
    description: cut(body, discordTextMax),
  };
  return { embeds: [embed], allowed_mentions: { parse: [] } };
}
