/** Asking the server, once or again and again. */

import {
  keepPreviousData,
  QueryClient,
  type UseMutationResult,
  type UseQueryResult,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import type { Tripline } from "../../client/index.ts";
import { useViewer } from "./session.tsx";

export const queryClient = new QueryClient({
  defaultOptions: {
    queries: { retry: false, staleTime: 1_000, networkMode: "always", refetchOnWindowFocus: true },
    mutations: { retry: false, networkMode: "always" },
  },
});

export interface AskOptions {
  /** How often to ask again while the page is visible, in milliseconds. Left out: only when it is shown again. */
  readonly everyMs?: number;
  /** False: not yet. */
  readonly enabled?: boolean;
  /** Whether to show the last answer while a question with another key is asked. */
  readonly keepsPrevious?: boolean;
}

/**
 * Asks the server something that a part of a page shows.
 *
 * @param key what is asked, with everything that the answer depends on
 */
export function useAsk<T>(
  key: readonly unknown[],
  ask: (tripline: Tripline, signal: AbortSignal) => Promise<T>,
  { everyMs, enabled = true, keepsPrevious = false }: AskOptions = {},
): UseQueryResult<T> {
  const { tripline } = useViewer();
  return useQuery<T>({
    queryKey: key,
    queryFn: ({ signal }) => ask(tripline, signal),
    enabled,
    ...(everyMs === undefined ? {} : { refetchInterval: everyMs }),
    ...(keepsPrevious ? { placeholderData: keepPreviousData as never } : {}),
  });
}

/**
 * Changes something on the server. Afterwards all pages ask again what they show.
 *
 * @example const pause = useChange((tripline, id: string) => tripline.automations.pause(id));
 */
export function useChange<Argument, Result>(
  change: (tripline: Tripline, argument: Argument) => Promise<Result>,
): UseMutationResult<Result, Error, Argument> {
  const { tripline } = useViewer();
  const client = useQueryClient();
  return useMutation<Result, Error, Argument>({
    mutationFn: (argument) => change(tripline, argument),
    onSettled: () => client.invalidateQueries(),
  });
}
