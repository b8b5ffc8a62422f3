// One triple: its text, and what every method made of it, each with a line or two of numbers.
function makeCase(triple, methods, lines, about) {
  const facts = data.triples[triple];
  const shown = methods.map((method) => makePortrait(triple, method, lines(method)));
  return make(
    "article",
    { className: "case" },
    make("h3", {}, ...caption(triple)),
    make("p", { className: "about", textContent: [facts.id, data.categories[facts.category], about].filter(Boolean).join(" · ") }),
    make("div", { className: "strip" }, ...shown),
  );
}

function makePortrait(triple, method, lines) {
  const { label, tone } = data.methods[method];
  const source = picture(triple, method);
  const words = lines.map((line) => make("span", { textContent: line }));
  const foot = make("figcaption", {}, make("b", { textContent: label }), ...words);
  const tag = make("div", { className: `tag ${tone}` });
  if (source === null) return make("figure", {}, make("div", { className: "absent", textContent: "no image" }), tag, foot);
  const alt = `${label}: ${data.triples[triple].target}`;
  const button = make("button", { type: "button", ariaLabel: `Enlarge ${alt}` }, make("img", { src: source, alt }));
  button.addEventListener("click", () => openZoom(triple, method, button));
  return make("figure", {}, button, tag, foot);
}
