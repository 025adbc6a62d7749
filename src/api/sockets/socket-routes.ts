/**
 * The WebSocket operations for the OpenAPI document, and the answer to plain HTTP requests at their paths.
 * Handshakes do not come here: see websockets.ts.
 */

import { RefusalSchema } from "../http/answers.ts";
import { Refusal } from "../http/refusal.ts";
import { type Route, route } from "../http/route.ts";

export type SocketDirection = "in" | "out";

/** The scope that a key needs for each direction. */
export const socketScopes = { in: "events:write", out: "events:read" } as const;

const answers = {
  101: { description: "The WebSocket is open." },
  426: { description: "The request did not ask for a WebSocket.", schema: RefusalSchema },
};

const notWebSocket = new Refusal(
  426,
  "upgrade",
  { detail: "This is a WebSocket: open it with the ws or wss scheme" },
  { Connection: "Upgrade", Upgrade: "websocket" },
);

export function socketRoutes(): Route[] {
  return [
    route(
      {
        method: "get",
        path: "/events/in",
        id: "emitEventsOverWebSocket",
        summary: "Post events over a WebSocket",
        description:
          'Offer the subprotocol `prefect`, send `{"type": "auth", "token": <key or null>}` and wait for `auth_success`. Then send one event per text frame. A pong confirms that every event before its ping is stored.',
        tag: "events",
        scope: socketScopes.in,
        answers,
      },
      () => {
        throw notWebSocket;
      },
    ),
    route(
      {
        method: "get",
        path: "/events/out",
        id: "streamEvents",
        summary: "Stream events over a WebSocket",
        description:
          'After `auth` as for /events/in, send `{"type": "filter", "filter": <EventFilter>, "backfill": true}`. Each matching event arrives as `{"type": "event", "event": …}`: first those of the last 15 minutes, then new ones.',
        tag: "events",
        scope: socketScopes.out,
        answers,
      },
      () => {
        throw notWebSocket;
      },
    ),
  ];
}
