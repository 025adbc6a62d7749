/** What clients send, as types. */

import type { z } from "zod";
import type { DestinationSchema } from "../../../core/model/destination.ts";
import type { ApplySchema } from "../../automations/apply.ts";

/** Rules to apply. The definitions are checked by the server. */
export type Application = Omit<z.input<typeof ApplySchema>, "automations" | "destinations"> & {
  readonly destinations?: readonly unknown[];
  readonly automations: readonly {
    readonly definition: unknown;
    readonly file: string;
    readonly secrets?: Readonly<Record<string, string>>;
  }[];
};

export type NewDestination = Readonly<z.input<typeof DestinationSchema>>;
