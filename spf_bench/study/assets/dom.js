"use strict";
const at = (id) => document.getElementById(id);

// Texts reach the page through textContent alone, so that none is ever taken for HTML.
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const shown = ["code", "intro", "ballot", "end"];
function show(name) {
  for (const id of shown) at(id).hidden = id !== name;
  at("bar").hidden = name !== "ballot";
}

function notice(text) {
  at("notice").hidden = !text;
  at("notice").textContent = text;
}

class Closed extends Error {}
