/** Links to pages, each written once: so that the same thing always looks the same and leads to the same place. */

import type { ReactNode } from "react";
import { Link } from "wouter";

export function EventLink({
  id,
  children,
}: {
  readonly id: string;
  readonly children: ReactNode;
}): ReactNode {
  return <Link href={`/events/${id}`}>{children}</Link>;
}

export function AutomationLink({ id, name }: { readonly id: string; readonly name: string }): ReactNode {
  return <Link href={`/automations/${id}`}>{name}</Link>;
}

export function DeliveryLink({
  id,
  children,
}: {
  readonly id: string;
  readonly children: ReactNode;
}): ReactNode {
  return <Link href={`/deliveries/${id}`}>{children}</Link>;
}

/** The events of a resource. */
export function ResourceLink({
  id,
  name,
}: {
  readonly id: string;
  readonly name?: string | undefined;
}): ReactNode {
  return (
    <Link
      href={`/events?${new URLSearchParams({ resource: id })}`}
      title={name === undefined ? undefined : id}
    >
      {name ?? id}
    </Link>
  );
}

/** The name that people gave a resource, if they gave it one. */
export function resourceName(labels: Readonly<Record<string, string>>): string | undefined {
  return labels["prefect.resource.name"] ?? labels["prefect.name"];
}

export function resourceId(labels: Readonly<Record<string, string>>): string {
  return labels["prefect.resource.id"] ?? "";
}

/** The values of a key, such as `service.shop` or `region=eu, service=shop`; empty for a trigger without one. */
export function keyName(labels: Readonly<Record<string, string>>): string {
  const entries = Object.entries(labels);
  if (entries.length === 1) return entries[0]?.[1] ?? "";
  return entries.map(([label, value]) => `${label}=${value}`).join(", ");
}

export function KeyText({ labels }: { readonly labels: Readonly<Record<string, string>> }): ReactNode {
  const name = keyName(labels);
  return name === "" ? <span className="muted">all</span> : <code>{name}</code>;
}
