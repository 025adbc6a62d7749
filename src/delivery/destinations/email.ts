/** `email`: one e-mail over SMTP to all addressees. */

import { connect, type Socket } from "node:net";
import { createTransport } from "nodemailer";
import MailComposer from "nodemailer/lib/mail-composer";
import { cut } from "../../core/model/cut.ts";
import { type Redact, redactionOf } from "../../templates/references.ts";
import { type Addressees, type AttemptOutcome, type AttemptTools, attemptAt } from "../attempt.ts";
import { type DestinationKind, limitOf, type PreparedEmail } from "./kind.ts";

/** Covers everything: the DNS lookup, connecting, sending, and the response. */
const timeoutMs = 30_000;

/** How much of what the server said is kept for people, in characters. */
const answerLengthMax = 500;

export const email: DestinationKind<"email"> = {
  compose: (definition, { subject, body, invocation }) => ({
    email: definition,
    deliveryId: invocation.id,
    subject,
    text: body,
    messageId: `<${invocation.id}@tripline>`, // the same at every attempt, so that a mailbox can drop a repeat
    headers: { "Auto-Submitted": "auto-generated" },
  }),
  messageOf: null,
  webhookTarget: null,
};

/** Makes one attempt to send an email. */
export async function sendEmail(prepared: PreparedEmail, tools: AttemptTools): Promise<AttemptOutcome> {
  const { email: definition, deliveryId } = prepared;
  const { host, port, password } = definition;
  const redactPassword = redactionOf({}, password === undefined ? {} : { [password]: "…" });
  const redact = (text: string) => redactPassword(tools.redact(text));
  const result = { destination: definition.name };
  const place = {
    origin: `smtp://${host}:${port}`,
    limit: limitOf(definition),
    deliveryId,
  };
  return attemptAt(place, tools, redact, async () => {
    try {
      const answers = await deliver(prepared, tools);
      return { outcome: outcomeOf(answers, tools.addressees, result, redact), alive: true };
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

/** What the server said of each addressee of one attempt. */
interface Answers {
  readonly accepted: readonly string[];
  readonly refusals: readonly SmtpError[];
}

/** Some were accepted, now or before. Those refused for a while are tried again, and nobody gets the message twice. */
function outcomeOf(
  { accepted: acceptedNow, refusals }: Answers,
  before: Addressees | undefined,
  given: { readonly destination: string },
  redact: Redact,
): AttemptOutcome {
  const accepted = [...(before?.accepted ?? []), ...acceptedNow];
  const waiting = refusals.filter((refusal) => !isForGood(refusal));
  const rejected = [...(before?.rejected ?? []), ...refusals.filter(isForGood).map(recipientOf)];
  const result = { ...given, accepted, ...(rejected.length > 0 ? { rejected } : {}) };
  const said = redact(
    refusals.map((error) => `${recipientOf(error)}: ${error.response ?? error.message}`).join("; "),
  );
  if (waiting.length > 0) {
    const reason = `the server accepted it for ${accepted.join(", ")}, but not for all: ${said}`;
    return { kind: "retry", reason, afterMs: null, result, addressees: { accepted, rejected } };
  }
  return {
    kind: "executed",
    result,
    ...(said === "" ? {} : { answer: cut(`refused for ${said}`, answerLengthMax) }),
  };
}

async function deliver(
  { email: definition, subject, text, messageId, headers }: PreparedEmail,
  { webhooks, signal, addressees }: AttemptTools,
): Promise<Answers> {
  const { host, port, security, username, password, from, to } = definition;
  const settled = new Set([...(addressees?.accepted ?? []), ...(addressees?.rejected ?? [])]);
  const envelope = new MailComposer({ from, to: [...to] }).compile().getEnvelope();
  const open = envelope.to.filter((address) => !settled.has(address));
  if (open.length === 0) return { accepted: [], refusals: [] }; // who was left is not an addressee any more
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
      // A notification is text only: nothing in it may name a file or a URL to read.
      disableFileAccess: true,
      disableUrlAccess: true,
    });
    const sent = await transport.sendMail({
      from,
      to,
      envelope: { from: envelope.from || "", to: open },
      subject,
      text,
      messageId,
      headers: { ...headers },
    });
    return { accepted: sent.accepted.map(String), refusals: (sent.rejectedErrors ?? []) as SmtpError[] };
  } catch (error) {
    const { rejectedErrors: refusals } = error as SmtpError;
    if (refusals === undefined || addressees === undefined) throw error;
    return { accepted: [], refusals }; // of all that are left; others were accepted before
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
  readonly response?: string;
  readonly code?: string;
  /** The addressee that was refused. */
  readonly recipient?: string;
  /** If all were refused. */
  readonly rejectedErrors?: readonly SmtpError[];
}

function recipientOf({ recipient }: SmtpError): string {
  return recipient ?? "an addressee";
}

/** Whether an answer about an addressee or a message is final, as statuses from 500 on are (RFC 5321). */
function isForGood({ responseCode }: SmtpError): boolean {
  return (responseCode ?? 500) >= 500;
}

/**
 * Only an answer about the message or its addressees can be final. A server that turns every client away may be in
 * maintenance, and a login, a certificate or an address may be about to be corrected, like a 401 over HTTP.
 */
function judgeError(error: SmtpError): { readonly isFinal: boolean; readonly reason: string } {
  const isAboutMessage = error.code === "EENVELOPE" || error.code === "EMESSAGE";
  return { isFinal: isAboutMessage && isForGood(error), reason: error.message };
}
