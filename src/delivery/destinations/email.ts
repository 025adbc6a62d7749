/** Notifications by e-mail over SMTP. */

import { connect, type Socket } from "node:net";
import { createTransport } from "nodemailer";
import type { DestinationDefinition } from "../../core/model/destination.ts";
import { redactionOf } from "../../templates/references.ts";
import type { Notification } from "../actions/send-notification.ts";
import { AddressRefused } from "../address.ts";
import type { AttemptOutcome, AttemptTools } from "../attempt.ts";

type EmailDestination = Extract<DestinationDefinition, { type: "email" }>;

/** For everything: finding the server, speaking with it, and its answer. */
const timeoutMs = 30_000;

/** The same `Message-ID` at every attempt, so that a mailbox can tell a repetition. */
export async function sendEmail(
  destination: EmailDestination,
  notification: Notification,
  tools: AttemptTools,
): Promise<AttemptOutcome> {
  const { host, port, password } = destination;
  const own = redactionOf({}, password === undefined ? {} : { [password]: "…" });
  const redact = (text: string) => own(tools.redact(text));
  const { endpoints } = tools.webhooks;
  const endpoint = `smtp://${host}:${port}`;
  const entered = await endpoints.enter(endpoint);
  if ("waitMs" in entered)
    return { kind: "deferred", reason: redact(entered.reason), waitMs: entered.waitMs };
  let alive: boolean | null = null;
  const result = { destination: destination.name };
  try {
    const { accepted, rejected } = await speak(destination, notification, tools);
    alive = true;
    return {
      kind: "executed",
      result: { ...result, accepted, ...(rejected.length > 0 ? { rejected } : {}) },
    };
  } catch (error) {
    if (tools.signal.aborted) throw error;
    const { retry, reason } = judge(error as SmtpError);
    alive = answered(error as SmtpError) ? true : retry ? false : null;
    return retry
      ? { kind: "retry", reason: redact(reason), afterMs: null, result }
      : { kind: "failed", reason: redact(reason), result };
  } finally {
    entered.leave(alive);
  }
}

async function speak(
  destination: EmailDestination,
  { subject, body, invocation }: Notification,
  { webhooks, signal }: AttemptTools,
): Promise<{ accepted: unknown[]; rejected: unknown[] }> {
  const { host, port, security, username, password, from, to } = destination;
  webhooks.checkHost(host);
  const socket = connect({ host, port, lookup: webhooks.lookup });
  const timeout = AbortSignal.timeout(timeoutMs);
  const end = AbortSignal.any([timeout, signal]);
  const cut = () => socket.destroy(new Error(`no complete answer within ${timeoutMs} ms`));
  end.addEventListener("abort", cut);
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
      // Texts only: nothing in a notification may name a file or an address to be read.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const { accepted, rejected } = await transport.sendMail({
      from,
      to,
      subject,
      text: body,
      messageId: `<${invocation.id}@tripline>`,
      headers: { "Auto-Submitted": "auto-generated" },
    });
    return { accepted, rejected };
  } finally {
    end.removeEventListener("abort", cut);
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
  /** Of the server's answer, when there was one. */
  readonly responseCode?: number;
  readonly code?: string;
}

function answered({ responseCode }: SmtpError): boolean {
  return responseCode !== undefined;
}

/** Codes of 500 and above are final, as RFC 5321 has it; so is what no repetition will change. */
function judge(error: SmtpError): { readonly retry: boolean; readonly reason: string } {
  const { message, responseCode, code } = error;
  if (error instanceof AddressRefused) return { retry: false, reason: message };
  if (responseCode !== undefined) return { retry: responseCode < 500, reason: message };
  return { retry: code !== "EENVELOPE" && code !== "EAUTH" && code !== "ETLS", reason: message };
}
