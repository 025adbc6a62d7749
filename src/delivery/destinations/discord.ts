/** `discord`: a webhook of a Discord channel. */

import { cut } from "../../core/model/cut.ts";
import { chatKind, type Notification } from "./kind.ts";

// https://discord.com/developers/docs/resources/message#embed-object-embed-limits; Discord refuses longer texts.
const titleLengthMax = 256;
const bodyLengthMax = 4_096;

export const discord = chatKind(messageOf);

/** An embed that pings no one, whatever the texts say. */
function messageOf({ subject, body }: Notification): object {
  const embed = {
    ...(subject === "" ? {} : { title: cut(subject, titleLengthMax) }),
    description: cut(body, bodyLengthMax),
  };
  return { embeds: [embed], allowed_mentions: { parse: [] } };
}
