/** `email`: one e-mail over SMTP to all addressees. */

import { connect, type Socket } from "node:net";
import { createTransport } from "nodemailer";
import { redactionOf } from "../../templates/references.ts";
import { type AttemptOutcome, type AttemptTools, attemptAt } from "../attempt.ts";
import { AddressRefused } from "../http/address-policy.ts";
import { type DefinitionOf, type DestinationKind, limitOf, type Notification } from "./kind.ts";

/** Covers everything: the DNS lookup, connecting, sending, and the response. */
const timeoutMs = 30_000;

export const email: DestinationKind<"email"> = { notify: sendEmail, messageOf: null, webhookTarget: null };

async function sendEmail(
  definition: DefinitionOf<"email">,
  notification: Notification,
  tools: AttemptTools,
): Promise<AttemptOutcome> {
  const { host, port, password } = definition;
  const redactPassword = redactionOf({}, password === undefined ? {} : { [password]: "…" });
  const redact = (text: string) => redactPassword(tools.redact(text));
  const result = { destination: definition.name };
  const place = {
    origin: `smtp://${host}:${port}`,
    limit: limitOf(definition),
    deliveryId: notification.invocation.id,
  };
  return attemptAt(place, tools, redact, async () => {
    try {
      const { accepted, rejected } = await deliver(definition, notification, tools);
      const rejections = rejected.length > 0 ? { rejected } : {};
      return { outcome: { kind: "executed", result: { ...result, accepted, ...rejections } }, alive: true };
    } catch (error) {
      if (tools.signal.aborted) throw error;
      const { isFinal, reason: message } = judgeError(error as SmtpError);
      const reason = redact(message);
      const hasResponded = (error as SmtpError).responseCode !== undefined;
      return isFinal
        ? { outcome: { kind: "failed", reason, result }, alive: hasResponded ? true : null }
        : { outcome: { kind: "retry", reason, afterMs: null, result }, alive: hasResponded };
    }
  });
}

async function deliver(
  definition: DefinitionOf<"email">,
  { subject, body, invocation }: Notification,
  { webhooks, signal }: AttemptTools,
): Promise<{ accepted: unknown[]; rejected: unknown[] }> {
  const { host, port, security, username, password, from, to } = definition;
  webhooks.checkHost(host);
  const socket = connect({ host, port, lookup: webhooks.lookup });
  const timeout = AbortSignal.timeout(timeoutMs);
  const stop = AbortSignal.any([timeout, signal]);
  const abort = () => socket.destroy(new Error(`timed out: no complete response within ${timeoutMs} ms`));
  stop.addEventListener("abort", abort);
  try {
    await connected(socket);
    const transport = createTransport({
      host,
      port,
      secure: security === "tls",
      requireTLS: security === "starttls",
      ignoreTLS: security === "none",
      ...(username === undefined ? {} : { auth: { user: username, pass: password ?? "" } }),
      connection: socket,
      tls: { servername: host },
      // A notification is text only: nothing in it may name a file or a URL to read.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const { accepted, rejected } = await transport.sendMail({
      from,
      to,
      subject,
      text: body,
      messageId: `<${invocation.id}@tripline>`, // the same at every attempt, so that a mailbox can drop a repeat
      headers: { "Auto-Submitted": "auto-generated" },
    });
    return { accepted, rejected };
  } finally {
    stop.removeEventListener("abort", abort);
    socket.destroy();
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.once("connect", () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

interface SmtpError extends Error {
  /** The status of the server's response, if there was one. */
  readonly responseCode?: number;
  readonly code?: string;
}

/**
 * Statuses from 500 on are final (RFC 5321), and so is anything that a retry cannot change. But a login, a certificate or
 * an address may be about to be corrected, like a 401 over HTTP.
 */
function judgeError(error: SmtpError): { readonly isFinal: boolean; readonly reason: string } {
  const { message: reason, responseCode, code } = error;
  if (error instanceof AddressRefused || code === "EAUTH" || code === "ETLS")
    return { isFinal: false, reason };
  if (responseCode !== undefined) return { isFinal: responseCode >= 500, reason };
  return { isFinal: code === "EENVELOPE", reason };
}
