/** The style and the script of the reference page. */

export const pageStyle = `
:root { color-scheme: light dark; --ink: #1c2430; --soft: #5b6675; --ground: #fff; --panel: #f4f6f9; --line: #d9dfe7; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #dfe5ec; --soft: #96a2b1; --ground: #12171e; --panel: #1a212b; --line: #2d3846; --link: #7db8f5; }
}
* { box-sizing: border-box; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground); }
header { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem 1.5rem; align-items: center;
  padding: .75rem 1.5rem; background: var(--panel); border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 1.2rem; } h1 small, h3 small, .entry span { color: var(--soft); font-weight: normal; }
header label { margin-left: auto; } header input { font: inherit; padding: .25rem .6rem; width: min(20rem, 60vw);
  color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .4rem; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem 1.5rem 30vh; }
h2 { margin: 2rem 0 .25rem; scroll-margin-top: 5rem; } h3 { margin: 1rem 0 .25rem; } section > p { margin-top: 0; color: var(--soft); }
a { color: var(--link); } nav { display: flex; flex-wrap: wrap; gap: .2rem .9rem; } nav a { text-decoration: none; } nav a:hover { text-decoration: underline; }
nav a, h2 { text-transform: capitalize; } code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
.entry { margin: .4rem 0; padding: .5rem .9rem; background: var(--panel); border: 1px solid var(--line); border-radius: .5rem;
  scroll-margin-top: 5rem; }
summary { cursor: pointer; } summary span { margin-left: .4rem; } summary b { display: inline-block; min-width: 4.2rem; font: 600 .8rem ui-monospace, monospace; }
.get { color: #1a7f45; } .post { color: #0b5cad; } .put, .patch { color: #9a6300; } .delete { color: #c0322b; }
@media (prefers-color-scheme: dark) { .get { color: #6fd39a; } .post { color: #7db8f5; } .put, .patch { color: #e8b45a; } .delete { color: #ff8f87; } }
table { border-collapse: collapse; width: 100%; font-size: .93rem; } td { padding: .3rem .6rem .3rem 0; vertical-align: top;
  border-top: 1px solid var(--line); } td table { margin: .3rem 0; } td i { color: var(--soft); font-size: .8rem; }
.entry[open] { overflow-x: auto; }
`;

export const pageScript = `
const entries = [...document.querySelectorAll(".entry")];
const field = document.getElementById("search");
function search() {
  const words = field.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let found = 0;
  for (const entry of entries) {
    const fits = words.every((word) => entry.dataset.text.includes(word));
    entry.hidden = !fits;
    if (fits) found += 1;
  }
  for (const section of document.querySelectorAll("section"))
    section.hidden = !section.querySelector(".entry:not([hidden])");
  document.getElementById("nothing").hidden = found > 0;
}
field.addEventListener("input", search);
function show() {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  field.value = "";
  search();
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}
addEventListener("hashchange", show);
show();
`;
