/** The groups that the reference lists operations in, in this order. */
export const tags = {
  events: "What happened: send, search, count and stream events.",
  automations: "Which events matter, and what to do about them.",
  explain: "Why an automation fired, or did not.",
  deliveries: "Where each action of each firing stands, and how to retry what failed.",
  destinations: "Where webhooks and notifications go.",
  endpoints: "What responded 410 Gone, and is sent nothing until it is enabled.",
  server: "Health, versions, metrics and this document.",
} as const;

export type Tag = keyof typeof tags;
