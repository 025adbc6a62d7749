/** What a delivery sends, where secrets are sealed. The rest is in test/api/deliveries/delivery-request.test.ts. */

import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { DestinationSchema, destinationIdOf } from "../../src/core/model/destination.ts";
import { Messages } from "../../src/delivery/messages.ts";
import { Log } from "../../src/store/log.ts";
import { SecretBox } from "../../src/store/secret-box.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { automationOf, firedBy, startActions, webhook } from "./support.ts";

let redis: TestRedis;
beforeAll(async () => {
  redis = await startRedis();
});
afterAll(() => redis.stop());

const secret = "a-very-secret-token";

/** A workspace whose secrets are sealed, and messages of a process with the same key or another one. */
async function startSealed() {
  const actions = startActions(redis.url);
  const boxOf = () => SecretBox.of(randomBytes(32).toString("hex"));
  const box = boxOf();
  const log = new Log(actions.redis, actions.workspace, { secretBox: box });
  const locked = new Log(actions.redis, actions.workspace, { secretBox: boxOf() });
  const [messages, blind] = [log, locked].map((of) => new Messages({ log: of, queue: actions.queue }));
  onTestFinished(async () => {
    await Promise.all([messages, blind].map((some) => some?.close()));
    log.close();
    locked.close();
  });
  const id = destinationIdOf(actions.workspace, "ops");
  const definition = DestinationSchema.parse({
    type: "slack",
    name: "ops",
    url: `https://example.org/${secret}`,
  });
  await log.destinations.put([{ id, definition, source: { kind: "api" }, created: 0, updated: 0 }]);
  return {
    messages: messages!,
    blind: blind!,
    /** Queues a delivery, whose job holds what the log holds. */
    async queued(action: unknown): Promise<string> {
      const automation = automationOf(action, { secrets: { TOKEN: secret } });
      await log.putAutomations([automation]);
      const [invocation] = firedBy((await log.sealedAutomation(automation.id))!);
      if (JSON.stringify(action).includes("TOKEN")) expect(invocation!.secrets["TOKEN"]).toMatch(/^enc:1:/);
      await actions.queue.addInvocations([invocation!]);
      return invocation!.id;
    },
  };
}

const called = webhook("https://example.org/a?t=${env.TOKEN}", {
  headers: { "X-T": "${env.TOKEN}" },
  payload: "${env.TOKEN}",
});

describe("of sealed secrets,", () => {
  test("neither the values nor what is stored is shown", async () => {
    const { messages, queued } = await startSealed();
    const id = await queued(called);
    for (const wanted of [null, "now", "as_sent"] as const) {
      const shown = await messages.ofDelivery(id, wanted);
      expect(shown).toMatchObject({
        kind: "http",
        body: "${env.TOKEN}",
        url: "https://example.org/a?t=${env.TOKEN}",
      });
      expect(shown).not.toHaveProperty("note");
      expect(JSON.stringify(shown)).not.toMatch(/enc:1:|a-very-secret/);
    }
  });

  test("what cannot be read here is shown without its values, and that it is not sent", async () => {
    const { blind, queued } = await startSealed();
    const shown = await blind.ofDelivery(await queued(called), null);
    expect(shown).toMatchObject({
      kind: "http",
      body: "${env.TOKEN}",
      note: expect.stringContaining("cannot be read, so nothing is sent until its key is back"),
    });
    expect(JSON.stringify(shown)).not.toMatch(/enc:1:|a-very-secret/);
  });

  test("those of a destination that cannot be read are reported, and nothing is shown", async () => {
    const { blind, messages, queued } = await startSealed();
    const id = await queued({ type: "send-notification", destination: "ops", body: "down" });
    expect(await messages.ofDelivery(id, null)).toMatchObject({
      kind: "http",
      url: "https://example.org/********",
    });
    const shown = await blind.ofDelivery(id, null);
    expect(shown).toMatchObject({ kind: "none", note: expect.stringMatching(/^Nothing is sent: .*key/) });
    expect(JSON.stringify(shown)).not.toMatch(/enc:1:|a-very-secret/);
  });
});
