/** Starts the dashboard in the page that the server sent. */

import "./style/base.css";
import "./style/frame.css";
import "./style/parts.css";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import { applyTheme } from "./parts/theme.tsx";

applyTheme();
const place = document.getElementById("root");
if (place !== null)
  createRoot(place).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
