/** What a page shows, kept in its URL: so that it can be shared, and the browser's back button works. */

import { useCallback } from "react";
import { useSearchParams } from "wouter";

export type UrlState<Name extends string> = Readonly<Record<Name, string>>;

/**
 * The named parameters of the URL, each with its default, and a function that changes some of them. A parameter that has
 * its default is left out of the URL.
 *
 * @param defaults must be the same object at each call
 */
export function useUrlState<Name extends string>(
  defaults: UrlState<Name>,
): [UrlState<Name>, (changes: Partial<UrlState<Name>>) => void] {
  const [parameters, setParameters] = useSearchParams();
  const state = Object.fromEntries(
    Object.entries<string>(defaults).map(([name, value]) => [name, parameters.get(name) ?? value]),
  ) as UrlState<Name>;
  const change = useCallback(
    (changes: Partial<UrlState<Name>>) => {
      setParameters(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries<string | undefined>(changes)) {
            if (value === undefined || value === defaults[name as Name]) after.delete(name);
            else after.set(name, value);
          }
          return after;
        },
        { replace: true },
      );
    },
    [setParameters, defaults],
  );
  return [state, change];
}
