// Two metrics, and the triples whose methods they put in the most different orders.
const byKey = Object.fromEntries(data.columns.map((column) => [column.key, column]));

// Ranks from 1, the best; equal scores share the mean of their places. What was not measured has none.
function ranks(key, triple, methods) {
  const sign = byKey[key].up ? -1 : 1;
  const known = methods.filter((method) => data.scores[key][triple][method] !== null);
  const value = (method) => sign * data.scores[key][triple][method];
  return new Map(known.map((method) => {
    const before = known.filter((other) => value(other) < value(method)).length;
    const equal = known.filter((other) => value(other) === value(method)).length;
    return [method, before + (equal + 1) / 2];
  }));
}

function opposed(triple, rho, { a, b }) {
  const methods = data.methods.map((_, i) => i).filter((i) => !data.methods[i].reference);
  const [left, right] = [ranks(a, triple, methods), ranks(b, triple, methods)];
  const originals = data.methods.map((_, i) => i).filter((i) => data.methods[i].reference);
  const ordered = methods.sort((x, y) => (left.get(x) ?? 99) - (left.get(y) ?? 99));
  const told = (key, places, method) => `${byKey[key].title} ${score(key, triple, method)} (${places.get(method) ?? "–"})`;
  const lines = (method) => (originals.includes(method) ? [] : [told(a, left, method), told(b, right, method)]);
  return makeCase(triple, [...originals, ...ordered], lines, `rho ${rho.toFixed(2)}`);
}

function showPair() {
  const pair = data.pairs[at("pair").value];
  at("opposed").replaceChildren(...pair.triples.slice(0, 8).map(([triple, rho]) => opposed(triple, rho, pair)));
}

if (data.pairs.length) {
  const name = ({ a, b, agreement }) => `${byKey[a].title} and ${byKey[b].title} (mean rho ${agreement.toFixed(2)})`;
  options(at("pair"), data.pairs.map((pair, i) => [i, name(pair)]));
  at("pair").addEventListener("change", showPair);
  showPair();
}
