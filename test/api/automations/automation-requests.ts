/** Requests to /api/automations, and the automation that they create by default. */

import { expect } from "vitest";
import type { TestApi } from "../support.ts";

export type Json = Record<string, unknown>;

export const trigger = {
  type: "event",
  posture: "Reactive",
  expect: ["pump.stopped"],
  threshold: 1,
  within: 0,
};
export const pumps = { name: "pumps", trigger, actions: [{ type: "do-nothing" }] };

/** @param apiOf the API to call; a function, because tests start it later */
export function automationsOf(apiOf: () => TestApi) {
  async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
    const response = await fetch(`${apiOf().url}/api/automations${path}`, {
      method,
      headers: { ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, body: text === "" ? null : (JSON.parse(text) as unknown) };
  }

  async function create(changes: object = {}): Promise<Json & { id: string }> {
    const { status, body } = await call("POST", "/", { ...pumps, ...changes });
    expect({ status, body: status === 201 ? null : body }).toEqual({ status: 201, body: null });
    return body as Json & { id: string };
  }

  const read = async (id: string, headers = {}) =>
    (await call("GET", `/${id}`, undefined, headers)).body as Json;

  return { call, create, read };
}
