/** Light or dark: as the system has it, unless the viewer chooses. */

import { type ReactNode, useState } from "react";

const setting = "tripline.theme";

type Theme = "system" | "light" | "dark";

function themeOf(text: string | null): Theme {
  return text === "light" || text === "dark" ? text : "system";
}

/** Applies the viewer's choice. Call it before the first page is shown. */
export function applyTheme(): void {
  const theme = themeOf(localStorage.getItem(setting));
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

export function ThemeChoice(): ReactNode {
  const [theme, setTheme] = useState(() => themeOf(localStorage.getItem(setting)));
  const choose = (chosen: Theme) => {
    localStorage.setItem(setting, chosen);
    setTheme(chosen);
    applyTheme();
    // Charts draw with the colors of the moment.
    window.dispatchEvent(new Event("tripline-theme"));
  };
  return (
    <label>
      <span className="hidden">Colors</span>
      <select value={theme} onChange={(event) => choose(themeOf(event.target.value))}>
        <option value="system">System colors</option>
        <option value="light">Light</option>
        <option value="dark">Dark</option>
      </select>
    </label>
  );
}
