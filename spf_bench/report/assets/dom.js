"use strict";
// What the page is told of its triples; shown with textContent alone, so that a text is never taken for HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function score(key, triple, method) {
  const value = data.scores[key][triple][method];
  const column = data.columns.find((found) => found.key === key);
  return value === null ? "–" : value.toFixed(column.decimals);
}

function picture(triple, method) {
  const encoded = data.images.length ? data.images[triple][method] : null;
  return encoded === null ? null : "data:image/webp;base64," + encoded;
}

// The complete text with its target marked, or the id where the test set is not at hand.
function caption(triple) {
  const { id, base, target } = data.triples[triple];
  return base ? [base + ", ", make("mark", { textContent: target })] : [id];
}

function options(select, pairs) {
  select.append(...pairs.map(([value, textContent]) => make("option", { value, textContent })));
}

document.documentElement.style.setProperty("--all", data.methods.length);

const themes = ["light dark", "light", "dark"];
const theme = at("theme");
theme.hidden = false;
theme.addEventListener("click", () => {
  const root = document.documentElement;
  const next = themes[(themes.indexOf(root.style.colorScheme || themes[0]) + 1) % themes.length];
  root.style.colorScheme = next;
  const name = next === themes[0] ? "system" : next;
  theme.querySelector("span").textContent = name;
  theme.ariaLabel = `Colours: ${name}`;
});
