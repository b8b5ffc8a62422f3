// Tables that sort by a press on a column's head: better first, then worse first, then as they were made.
function sortable(table) {
  const body = table.tBodies[0];
  for (const head of table.querySelectorAll("th[data-sort]")) {
    const button = make("button", { type: "button", className: "sort" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => sortBy(table, body, head));
  }
}

function sortBy(table, body, head) {
  const first = head.dataset.sort === "down" ? "descending" : "ascending";
  const other = first === "descending" ? "ascending" : "descending";
  const was = head.getAttribute("aria-sort");
  const order = was === null ? first : was === first ? other : null;
  for (const each of table.querySelectorAll("th[aria-sort]")) each.removeAttribute("aria-sort");
  if (order) head.setAttribute("aria-sort", order);
  const column = head.cellIndex;
  const rows = [...body.rows].sort((a, b) => a.dataset.place - b.dataset.place);
  if (order) rows.sort((a, b) => compare(a.cells[column], b.cells[column], order === "ascending" ? 1 : -1));
  body.append(...rows);
}

// What was not measured has no value and stands last either way.
function compare(a, b, sign) {
  const [left, right] = [a.dataset.value, b.dataset.value];
  if (left === undefined || right === undefined) return (left === undefined) - (right === undefined);
  if (a.tagName === "TH") return sign * left.localeCompare(right);
  return sign * (Number(left) - Number(right));
}

// Of the panels of one name, show the one that the menu says.
function panels(select) {
  const all = document.querySelectorAll(`[data-panel="${select.dataset.panels}"]`);
  const show = () => all.forEach((panel) => { panel.hidden = panel.dataset.key !== select.value; });
  select.addEventListener("change", show);
  show();
}

document.querySelectorAll("table.board").forEach(sortable);
document.querySelectorAll("select[data-panels]").forEach(panels);
