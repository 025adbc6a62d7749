/** `tripline deliveries`, run against a real server. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Delivery } from "../../src/client/index.ts";
import { answer, misbehavingServer } from "../client/support.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { commandsAt } from "./commands-at.ts";
import { Sandbox, type Server } from "./support.ts";

const sandbox = new Sandbox();
let redis: TestRedis;
let server: Server;

beforeAll(async () => {
  redis = await startRedis();
  server = await sandbox.serve(redis.url, ["--retry", "1ms"]);
});

afterAll(async () => {
  await sandbox.close();
  await redis?.stop();
});

const { tripline, json, emit } = commandsAt(sandbox, () => server);

describe("tripline deliveries", () => {
  test("shows a dead letter, and redelivers it under the same id", async () => {
    const ids: (string | undefined)[] = [];
    let status = 404;
    const endpoint = await misbehavingServer((response, request) => {
      ids.push(request.headers["webhook-id"] as string);
      answer(status, {})(response);
    });
    const rules = sandbox.write(
      "call.yaml",
      `name: Call\ntrigger: {expect: [bell.rang]}\nactions: [{type: call-webhook, url: '${endpoint.url}', retry: {give_up_on: [404]}}]\n`,
    );
    await tripline("apply", rules);
    await emit("bell.rang", "bell.1");
    const letters = () => json<Delivery[]>("deliveries", "ls");
    await expect.poll(letters).toHaveLength(1);
    const [letter] = await letters();
    expect(letter).toMatchObject({ automation: { name: "Call" }, action_type: "call-webhook", id: ids[0] });
    expect((await tripline("deliveries", "ls")).stdout).toContain("404");
    // The server itself, in whichever of its threads, shows what it sends.
    const request = await fetch(`${server.url}/api/deliveries/${letter?.id}/request`);
    expect(await request.json()).toMatchObject({ kind: "http", method: "POST", url: endpoint.url });
    for (const id of [ids[0] ?? "", ids[0]?.slice(0, 13) ?? ""]) {
      expect(await json("deliveries", "show", id)).toEqual(letter);
    }
    expect((await tripline("deliveries", "show", ids[0] ?? "")).stdout).toMatch(
      /state +dead letter[\s\S]*reason +responded 404[\s\S]*ATTEMPT +STATUS/,
    );
    expect(await tripline("deliveries", "redeliver")).toMatchObject({ code: 2 });

    status = 200;
    expect(await tripline("deliveries", "redeliver", "--all")).toMatchObject({ code: 0 });
    await expect.poll(() => ids).toEqual([ids[0], ids[0]]);
    await expect
      .poll(async () => (await tripline("deliveries", "ls")).stdout)
      .toBe("There are no dead letters.\n");
    expect(await tripline("deliveries", "cancel", ids[0] ?? "")).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("has ended, so there is nothing to cancel"),
    });
    expect(await tripline("deliveries", "redeliver", ids[0] ?? "")).toMatchObject({ code: 0 });
    await expect.poll(() => ids).toEqual([ids[0], ids[0], ids[0]]);
    const selected = ["--automation", "Call", "--target", endpoint.url, "--since", "1h"];
    expect((await tripline("deliveries", "cancel", ...selected)).stderr).toContain(
      "There are no such deliveries",
    );
    await expect.poll(() => json("deliveries", "ls", "--state", "delivered", ...selected)).toHaveLength(1);
    await expect
      .poll(() => json("deliveries", "show", ids[0] ?? ""))
      .toMatchObject({ state: "delivered", status_code: 200, automation: { name: "Call" } });
    const delivered = (await tripline("deliveries", "ls", "--state", "delivered")).stdout;
    expect(delivered).toMatch(/^DELIVERED +AUTOMATION/);
    expect(delivered).toContain(ids[0]);
    expect(await tripline("deliveries", "ls", "--state", "lost")).toMatchObject({ code: 2 });
    await endpoint.stop();
  });

  test("shows when and why a delivery is retried", async () => {
    const endpoint = await misbehavingServer(answer(503, { busy: true }, { "Retry-After": "600" }));
    const rules = sandbox.write(
      "gong.yaml",
      `name: Gong\ntrigger: {expect: [gong.rang]}\nactions: [{type: call-webhook, url: '${endpoint.url}'}]\n`,
    );
    await tripline("apply", rules);
    const eventId = await emit("gong.rang", "gong.1");
    const retried = () => json<Delivery[]>("deliveries", "ls", "--state", "retrying");
    await expect.poll(retried).toMatchObject([{ automation: { name: "Gong" }, state: "retrying" }]);
    const [delivery] = await retried();
    const list = (await tripline("deliveries", "ls", "--state", "retrying")).stdout;
    expect(list).toMatch(/^NEXT +STATE[\s\S]*retrying +Gong +0 call-webhook +1 .*responded 503/);
    const text = (await tripline("deliveries", "show", delivery?.id ?? "")).stdout;
    expect(text).toMatch(/state +retrying/);
    expect(text).toMatch(/next attempt +\d{4}-/);
    expect(text).toContain(`target        ${endpoint.url}`);
    expect(text).toContain(eventId);
    expect(text).not.toContain("redeliver");
    await endpoint.stop();
  });

  // A target that has accepted the end of an alarm is not sent the alarm any more.
  test("redelivers the oldest first, and cancels without letting the next one go out", async () => {
    const received: string[] = [];
    let status = 404;
    const endpoint = await misbehavingServer((response, request) => {
      received.push(`${request.url} ${status}`);
      answer(status, {})(response);
    });
    const rules = sandbox.write(
      "order.yaml",
      `name: Order\ntrigger: {expect: [gong.*]}\nactions: [{type: call-webhook, url: '${endpoint.url}', payload: '{{ event.event }}', retry: {give_up_on: [404]}}]\n`,
    );
    await tripline("apply", rules);
    const order = ["--automation", "Order"];
    const dead = () => json<Delivery[]>("deliveries", "ls", ...order);
    for (const count of [1, 2, 3]) {
      await emit("gong.rang", "gong.1");
      await expect.poll(dead).toHaveLength(count);
    }
    const ids = (await dead()).map(({ id }) => id).reverse();
    status = 200;
    const redelivered = await tripline("deliveries", "redeliver", ...order);
    expect(redelivered).toMatchObject({ code: 0 });
    expect(redelivered.stderr.match(/[0-9a-f-]{36}/g)).toEqual(ids);
    await expect.poll(dead).toHaveLength(0);

    status = 500;
    for (const resource of ["gong.2", "gong.2"]) await emit("gong.rang", resource);
    const waiting = () => json<Delivery[]>("deliveries", "ls", "--state", "retrying", ...order);
    await expect.poll(waiting).toHaveLength(2);
    const before = received.length;
    status = 200;
    expect(await tripline("deliveries", "cancel", ...order)).toMatchObject({ code: 0 });
    await expect.poll(dead).toHaveLength(2);
    expect(received.slice(before).filter((line) => line.endsWith("200"))).toEqual([]);
  });
});
