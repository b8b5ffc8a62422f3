// The original and one method, large. Arrows: another method, another triple; F or the button: flip between the two.
const zoom = at("zoom");
const here = { triple: 0, method: 0, flipped: false };
const original = Math.max(0, data.methods.findIndex((method) => method.reference));

function openZoom(triple, method) {
  Object.assign(here, { triple, method, flipped: false });
  showZoom();
  zoom.showModal();
}

function showZoom() {
  const right = here.flipped ? original : here.method;
  at("zoom-text").replaceChildren(...caption(here.triple));
  fill("zoom-left", original);
  fill("zoom-right", right);
  const keys = data.columns.map(({ key }) => key);
  const cells = (method) => keys.map((key) => make("td", { textContent: score(key, here.triple, method) }));
  const row = (method) => make("tr", {}, make("th", { scope: "row", textContent: data.methods[method].label }), ...cells(method));
  const heads = data.columns.map(({ title, up }) => make("th", { scope: "col", textContent: title + (up ? "↑" : "↓") }));
  at("zoom-scores").replaceChildren(make("tr", {}, make("th"), ...heads), row(original), row(here.method));
}

function fill(id, method) {
  const image = at(id);
  const source = picture(here.triple, method);
  image.onload = () => image.classList.toggle("small", image.naturalWidth <= 128);
  if (source === null) image.removeAttribute("src");
  else image.src = source;
  image.alt = `${data.methods[method].label}: ${data.triples[here.triple].target}`;
  at(`${id}-name`).textContent = data.methods[method].label;
}

function step(way) {
  const count = data.methods.length;
  const list = fitting.includes(here.triple) ? fitting : [here.triple];
  const place = list.indexOf(here.triple);
  if (way === "left" || way === "right") here.method = (here.method + (way === "right" ? 1 : count - 1)) % count;
  if (way === "up") here.triple = list[Math.max(0, place - 1)];
  if (way === "down") here.triple = list[Math.min(list.length - 1, place + 1)];
  here.flipped = false;
  showZoom();
}

function flip() {
  here.flipped = !here.flipped;
  showZoom();
}

zoom.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down" }[event.key];
  if (way) { event.preventDefault(); step(way); }
  if (event.key.toLowerCase() === "f") flip();
});
zoom.addEventListener("click", (event) => { if (event.target === zoom) zoom.close(); });
document.querySelectorAll("[data-step]").forEach((button) => button.addEventListener("click", () => step(button.dataset.step)));
at("flip").addEventListener("click", flip);
at("zoom-close").addEventListener("click", () => zoom.close());
