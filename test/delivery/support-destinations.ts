/** What tests of notifications need: a workspace with one destination, and a mail server. */

import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import { SMTPServer, type SMTPServerOptions } from "smtp-server";
import { onTestFinished } from "vitest";
import { DestinationSchema, destinationIdOf } from "../../src/core/model/destination.ts";
import type { Invocation } from "../../src/core/model/invocation.ts";
import { startActions } from "./support.ts";

type Json = Record<string, unknown>;

/** A workspace with this destination, and a worker that may reach this machine. */
export async function startWithDestination(redisUrl: string, definition: Json, settings: object = {}) {
  const actions = startActions(redisUrl);
  const id = destinationIdOf(actions.workspace, "ops");
  const parsed = DestinationSchema.parse({ name: "ops", ...definition });
  const source = { kind: "api" } as const;
  await actions.log.destinations.put([{ id, definition: parsed, source, created: 0, updated: 0 }]);
  actions.work({ dangerouslyAllowPrivateAddresses: ["loopback"], ...settings });
  return {
    ...actions,
    id,
    async deliver(invocation: Invocation) {
      await actions.queue.addInvocations([invocation]);
      const { event, payload } = await actions.outcome(invocation);
      return { kind: event.replace(/.*\./, ""), payload };
    },
  };
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly user: unknown;
}

/** A real SMTP server on loopback. */
export async function startMail(options: SMTPServerOptions = {}) {
  const mails: Mail[] = [];
  const server = new SMTPServer({
    disabledCommands: ["STARTTLS"],
    authOptional: true,
    onAuth: ({ username, password }, _session, done) =>
      password === "hush" ? done(null, { user: username }) : done(new Error("no: hush")),
    onData: async (stream, { envelope, user }, done) => {
      const text = (await buffer(stream)).toString();
      const { mailFrom, rcptTo } = envelope;
      mails.push({
        from: mailFrom === false ? "" : mailFrom.address,
        to: rcptTo.map(({ address }) => address),
        text,
        user,
      });
      done();
    },
    ...options,
  });
  server.on("error", () => {});
  server.listen(0, "127.0.0.1");
  await once(server.server, "listening");
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  const destination = {
    type: "email",
    host: "127.0.0.1",
    port,
    security: "none",
    from: "Tripline <tripline@example.org>",
    to: ["a@example.org", "b@example.org"],
  };
  return { mails, destination, server };
}
