// The triples that fit the filter, some at a time: a page of hundreds of portraits scrolls badly and prints worse.
const PAGE = 12;
const filter = at("filter");
let fitting = [];
let page = 0;

function search() {
  const words = filter.elements.text.value.toLowerCase().split(/\s+/).filter(Boolean);
  const category = filter.elements.category.value;
  fitting = data.triples.map((_, i) => i).filter((i) => {
    const { id, base, target, category: own } = data.triples[i];
    const text = `${id} ${base}, ${target}`.toLowerCase();
    return (!category || own === category) && words.every((word) => text.includes(word));
  });
  page = 0;
  showPage();
}

function showPage() {
  const key = filter.elements.score.value;
  const part = fitting.slice(page * PAGE, (page + 1) * PAGE);
  const everyone = data.methods.map((_, i) => i);
  const lines = (triple) => (method) => (key ? [score(key, triple, method)] : []);
  at("cases").replaceChildren(...part.map((triple) => makeCase(triple, everyone, lines(triple), "")));
  const last = Math.max(1, Math.ceil(fitting.length / PAGE));
  at("found").textContent = fitting.length === 1 ? "1 triple" : `${fitting.length} triples`;
  at("place").textContent = `${page + 1} of ${last}`;
  at("previous").disabled = page === 0;
  at("next").disabled = page + 1 >= last;
}

function turn(by) {
  page += by;
  showPage();
  at("portraits").scrollIntoView();
}

const present = new Set(data.triples.map((triple) => triple.category));
options(filter.elements.category, Object.entries(data.categories).filter(([key]) => present.has(key)));
options(filter.elements.score, [...data.columns.map(({ key, title }) => [key, title]), ["", "nothing"]]);
filter.addEventListener("input", search);
filter.addEventListener("submit", (event) => event.preventDefault());
at("previous").addEventListener("click", () => turn(-1));
at("next").addEventListener("click", () => turn(1));
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target.closest("input, select, textarea, dialog")) return;
  event.preventDefault();
  filter.elements.text.focus();
});
search();
