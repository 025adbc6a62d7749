/** `ms-teams`: a Teams workflow that posts when it receives a webhook request. */

import { cut } from "../../core/model/cut.ts";
import { chatKind, type Notification } from "./kind.ts";

// Teams refuses messages over 28 KB, and a character may take several bytes.
const titleLengthMax = 1_000;
const bodyLengthMax = 5_000;

export const teams = chatKind(messageOf);

/** An Adaptive Card. */
function messageOf({ subject, body }: Notification): object {
  const title = {
    type: "TextBlock",
    text: cut(subject, titleLengthMax),
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
      { type: "TextBlock", text: cut(body, bodyLengthMax), wrap: true },
    ],
  };
  const contentType = "application/vnd.microsoft.card.adaptive";
  return { type: "message", attachments: [{ contentType, contentUrl: null, content }] };
}
