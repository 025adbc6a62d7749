/**
 * The WebSockets of the API: `/events/in` and `/events/out`, on the same port and below the same bases.
 *
 * A client that offers the subprotocol `prefect` authenticates in its first message. Any other client authenticates by
 * the headers of its handshake, as in an HTTP request, and skips that message.
 */

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { Logger } from "pino";
import { WebSocketServer } from "ws";
import { z } from "zod";
import { parseExactJson } from "../../core/json/exact-json.ts";
import { isRecord } from "../../core/model/record.ts";
import { millisecond } from "../../core/model/time.ts";
import { EventFilterSchema, resolveFilter } from "../../history/filter.ts";
import { isHistoryUnavailable } from "../events/events.ts";
import { requestLimits } from "../http/body.ts";
import { parseInSlices } from "../http/parse-json.ts";
import { firstMistake, invalidRequest, mistakesOf, Refusal } from "../http/refusal.ts";
import { may, type Tenant, type Tenants } from "../http/tenant.ts";
import { type IngestMeter, isUnreachable } from "../ingest/ingest.ts";
import { RejectionReports } from "../ingest/rejected-events.ts";
import { EventFeeds } from "./event-feed.ts";
import { takeEvents } from "./events-in.ts";
import { type Subscription, sendEvents } from "./events-out.ts";
import { cutMessages, MessageCutter } from "./message-cutter.ts";
import { Openings, type OpeningsMax } from "./openings.ts";
import { Closing, closeCodes, cutLength, DeferringSocket, Peer } from "./peer.ts";
import { type SocketDirection, socketScopes } from "./socket-routes.ts";

export interface WebSocketOptions {
  readonly tenants: Tenants;
  readonly meter: IngestMeter;
  readonly logger: Pick<Logger, "error" | "warn">;
  /** How often peers are pinged. One that sends and takes nothing for that long is cut off. Default 30 s. */
  readonly heartbeatMs?: number;
  /** How long a peer has for each of its opening messages. Default 30 s. */
  readonly openingMs?: number;
  /** How many peers may be connected that are not admitted yet. */
  readonly openingsMax?: OpeningsMax;
  /** Whether a proxy is in front whose X-Forwarded-For counts. */
  readonly trustProxy?: boolean;
}

/** The HTTP server passes its upgrade requests here. */
export interface WebSockets {
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Closes all connections, after appending the events that are under way. */
  stop(): Promise<void>;
}

interface Call {
  readonly direction: SocketDirection;
  /** The workspace that the path names; null if it names none. */
  readonly workspace: string | null;
  readonly headers: Headers;
  /** Whether the client offers Prefect's subprotocol. */
  readonly speaksPrefect: boolean;
}

const subprotocol = "prefect";

const heartbeatMsDefault = 30_000;
const openingMsDefault = 30_000;
/** How often the keys of open connections are checked again. */
const readmissionMs = 1_000;
/** When the server stops, peers that have not closed after this time are cut off. */
const stopPatienceMs = 5_000;
/** How long a peer has to answer a close frame, in milliseconds. Spread below, because the types of `ws` lack the option. */
const closeTimeout = { closeTimeout: 5_000 };

export function createWebSockets(options: WebSocketOptions): WebSockets {
  const { tenants, logger, heartbeatMs = heartbeatMsDefault, openingMs = openingMsDefault } = options;
  const feeds = new EventFeeds();
  const reports = new RejectionReports(logger);
  const openings = new Openings(options);
  const peers = new Map<Peer, Promise<void>>();
  let stopping: Closing | null = null;
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    autoPong: false,
    perMessageDeflate: false,
    maxPayload: cutLength,
    skipUTF8Validation: true, // a text that is not UTF-8 harms only itself; whoever reads it checks it
    ...closeTimeout,
    WebSocket: DeferringSocket,
    handleProtocols: (offered) => (offered.has(subprotocol) ? subprotocol : false),
  });
  server.on("wsClientError", ({ message }, socket) => {
    refuseUpgrade(
      socket,
      new Refusal(400, "handshake", { detail: `This is not a valid WebSocket handshake: ${message}` }),
    );
  });
  const heartbeat = setInterval(() => {
    for (const peer of peers.keys()) peer.heartbeat();
  }, heartbeatMs).unref(); // connections keep the process alive, not this

  async function open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const call = callOf(request);
    await tenants.checkOrigin(call.headers, true);
    const admitted = call.speaksPrefect ? null : await admitByHeaders(tenants, call);
    if (stopping !== null) throw new Refusal(503, "stopping", { detail: stopping.message });
    const leave = admitted === null ? openings.enter(request) : () => {};
    socket.once("close", leave);
    const cutter = new MessageCutter(cutLength);
    server.handleUpgrade(request, socket, cutter.pass(head), (webSocket: DeferringSocket) => {
      const peer = new Peer(webSocket, admitted !== null, cutter);
      cutMessages(socket, cutter, () => peer.hear());
      if (admitted === null) limitOpening(socket, peer, leave);
      webSocket.once("error", (error) => reportLost(error, peer, call));
      const closed = new Promise<void>((resolve) => webSocket.once("close", () => resolve()));
      const handled = handle(peer, call, admitted);
      peers.set(
        peer,
        Promise.all([handled, closed]).then(() => {
          peers.delete(peer);
        }),
      );
    });
  }

  async function handle(peer: Peer, call: Call, admitted: Admission | null): Promise<void> {
    try {
      await converse(peer, call, admitted);
      peer.answerClosing();
    } catch (error) {
      peer.close(closingOf(error, call.direction));
    }
  }

  async function converse(peer: Peer, call: Call, admitted: Admission | null): Promise<void> {
    const admission = admitted ?? (await admitByMessage(peer, tenants, call, openingMs));
    peer.admit();
    const watch = setInterval(() => readmit(peer, admission, call.direction), readmissionMs);
    try {
      if (call.direction === "in")
        await takeEvents(peer, admission.tenant, { meter: options.meter, reports });
      else await subscribe(peer, admission.tenant);
    } finally {
      clearInterval(watch);
    }
  }

  async function subscribe(peer: Peer, tenant: Tenant): Promise<void> {
    const subscription = await readSubscription(await peer.next(openingMs));
    const leaving = new AbortController();
    const signal = AbortSignal.any([peer.signal, leaving.signal]);
    const sending = feeds.using(tenant.workspace, tenant.log, (feed) =>
      sendEvents(peer, tenant, feed, subscription, signal),
    );
    // Further messages are ignored, but pings need answers and a close must be noticed.
    const listening = ignoreMessages(peer).finally(() => leaving.abort(left));
    try {
      await Promise.race([sending, listening]);
    } finally {
      await sending.catch(() => {});
    }
  }

  /** What a peer may not get past: it may send the same frame after each reconnection. */
  function reportLost(error: Error & { readonly code?: string }, peer: Peer, { direction }: Call): void {
    if (!peer.isAdmitted || error.code?.startsWith("WS_ERR") !== true) return;
    logger.warn({ direction, reason: error.message }, "A frame is not valid; closed a WebSocket");
  }

  function closingOf(error: unknown, direction: SocketDirection): Closing {
    if (error instanceof Closing) return error;
    if (isUnreachable(error)) {
      logger.warn({ direction, err: error }, "Redis is unavailable; closed a WebSocket");
      const remedy = direction === "in" ? "resend what no pong confirmed" : "connect again";
      return new Closing(closeCodes.tryAgain, `Redis is unavailable; ${remedy}`);
    }
    if (isHistoryUnavailable(error)) {
      logger.warn({ direction, err: error }, "The history is unavailable; closed a WebSocket");
      return new Closing(closeCodes.tryAgain, "The history is unavailable; connect again");
    }
    logger.error({ direction, err: error }, "WebSocket failed");
    return new Closing(closeCodes.failed, "Internal error");
  }

  return {
    upgrade(request, socket, head) {
      socket.on("error", () => socket.destroy());
      open(request, socket, head).catch((error: unknown) => {
        if (!(error instanceof Refusal) && !isUnreachable(error)) {
          logger.error({ err: error }, "WebSocket handshake failed");
        }
        refuseUpgrade(socket, error);
      });
    },
    async stop() {
      stopping = new Closing(closeCodes.restarting, "The server is stopping; connect again");
      clearInterval(heartbeat);
      for (const peer of peers.keys()) peer.stop(stopping);
      const cut = setTimeout(() => {
        for (const peer of peers.keys()) peer.terminate();
      }, stopPatienceMs);
      await Promise.all(peers.values());
      clearTimeout(cut);
    },
  };
}

/** Counts what a peer sends before it is admitted, also of a frame that is not complete. */
function limitOpening(socket: Duplex, peer: Peer, leave: () => void): void {
  let byteCount = 0;
  const count = (chunk: Buffer) => {
    byteCount += chunk.length;
    peer.limitOpening(byteCount);
  };
  socket.on("data", count);
  peer.onAdmitted = () => {
    socket.off("data", count);
    leave();
  };
}

const left = new Error("The subscriber has left");

async function ignoreMessages(peer: Peer): Promise<void> {
  while ((await peer.take(Number.POSITIVE_INFINITY)) !== null);
}

const path = /^\/api(?:\/accounts\/[^/]+\/workspaces\/([^/]+))?\/events\/(in|out)\/?$/;

/** @throws Refusal 404 for another path */
function callOf(request: IncomingMessage): Call {
  const [pathname = ""] = (request.url ?? "").split("?");
  const [matched, workspace, direction] = path.exec(pathname) ?? [];
  if (matched === undefined) throw new Refusal(404, "not_found", { detail: "Not Found" });
  const headers = new Headers();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(", ") : value);
  }
  const offered = (headers.get("sec-websocket-protocol") ?? "").split(",").map((name) => name.trim());
  return {
    direction: direction as SocketDirection,
    workspace: workspace === undefined ? null : decoded(workspace),
    headers,
    speaksPrefect: offered.includes(subprotocol),
  };
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** The tenant of a connection, and how to look it up again. */
interface Admission {
  readonly tenant: Tenant;
  readonly renew: () => Promise<Tenant>;
}

/** Closes a connection whose key has been revoked. Otherwise an open connection would outlive its key. */
async function readmit(peer: Peer, { renew }: Admission, direction: SocketDirection): Promise<void> {
  const mayStay = await renew().then(
    (tenant) => may(tenant, socketScopes[direction]),
    (error: unknown) => !(error instanceof Refusal), // during a Redis outage nothing new is known
  );
  if (!mayStay) peer.stop(new Closing(closeCodes.policy, "The key is no longer valid"));
}

async function admitByHeaders(tenants: Tenants, { headers, workspace, direction }: Call): Promise<Admission> {
  const renew = () => tenants.of(headers, workspace);
  const tenant = await renew();
  if (may(tenant, socketScopes[direction])) return { tenant, renew };
  throw new Refusal(403, "forbidden", { detail: lacks(direction) });
}

function lacks(direction: SocketDirection): string {
  return `This key lacks the scope ${socketScopes[direction]}`;
}

const AuthSchema = z.object({ type: z.literal("auth"), token: z.string().nullish() });

/** @throws Closing if the peer's first message is not a valid authentication */
async function admitByMessage(
  peer: Peer,
  tenants: Tenants,
  { headers, workspace, direction }: Call,
  openingMs: number,
): Promise<Admission> {
  const text = await peer.next(openingMs);
  // Not a violation: the server itself may have been too slow to read it. Prefect's clients give up after one.
  if (text === null) throw new Closing(closeCodes.tryAgain, "No 'auth' message came in time; connect again");
  const message = AuthSchema.safeParse(parsed(text));
  if (!message.success) throw new Closing(closeCodes.policy, "Expected 'auth' message");
  const token = message.data.token || null;
  const renew = () =>
    token === null ? tenants.of(headers, workspace) : tenants.authenticate(token, workspace, headers);
  const tenant = await renew().catch((error: unknown) => {
    if (!(error instanceof Refusal)) throw error;
    const reason = token === null ? "Auth required but no token provided" : "Invalid token";
    throw new Closing(closeCodes.policy, reason);
  });
  if (!may(tenant, socketScopes[direction])) throw new Closing(closeCodes.policy, lacks(direction));
  await peer.send(JSON.stringify({ type: "auth_success" }));
  return { tenant, renew };
}

const SubscriptionSchema = z.object({ filter: EventFilterSchema, backfill: z.boolean().default(true) });

/** @throws Closing if the message is not a valid subscription */
async function readSubscription(text: string | null): Promise<Subscription> {
  if (text === null)
    throw new Closing(closeCodes.tryAgain, "No 'filter' message came in time; connect again");
  if (text.length > requestLimits.bytesMax) throw new Closing(closeCodes.tooLarge, "The filter is too large");
  const message = await parseInSlices(text, requestLimits).catch(() => null);
  if (!isRecord(message) || message["type"] !== "filter") {
    throw new Closing(closeCodes.protocol, "Expected 'filter' message");
  }
  const now = Date.now() * millisecond;
  const read = SubscriptionSchema.safeParse(message);
  if (read.success) return { filter: resolveFilter(read.data.filter, now), backfill: read.data.backfill };
  const refusal = invalidRequest(mistakesOf(read.error.issues, ["message"], message), message);
  throw new Closing(closeCodes.protocol, `Invalid filter: ${firstMistake(refusal, 1)}`);
}

function parsed(text: string | null): unknown {
  try {
    return text === null ? null : parseExactJson(text);
  } catch {
    return null;
  }
}

/** Answers a handshake with an HTTP response, and closes the connection. */
function refuseUpgrade(socket: Duplex, error: unknown): void {
  const { status, body } = refusalOf(error);
  const text = JSON.stringify(body);
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: application/json",
    `Content-Length: ${Buffer.byteLength(text)}`,
  ];
  socket.once("finish", () => socket.destroy());
  socket.end(`${head.join("\r\n")}\r\n\r\n${text}`);
}

function refusalOf(error: unknown): { status: number; body: object } {
  if (isUnreachable(error)) return { status: 503, body: { detail: "Redis is unavailable; try again" } };
  if (!(error instanceof Refusal))
    return { status: 500, body: { exception_message: "Internal Server Error" } };
  // Prefect's server refuses every handshake with 403, and its clients expect no other status.
  return { status: error.status === 401 ? 403 : error.status, body: error.body };
}
