// The ballot: one question at a time, each answer saved before the next question comes.
const REST = 250; // milliseconds without an answer after a new question: a double tap is one answer
const PAUSES = 120; // seconds of a pause that count, as where answers are kept
let sheet, place = 0, busy = true, left = 0, since = Date.now();

const total = () => sheet.items.length * sheet.questions.length;
const here = (step = place) => [sheet.items[Math.floor(step / sheet.questions.length)], sheet.questions[step % sheet.questions.length]];
const answer = (step = place) => {
  const [item, question] = here(step);
  return sheet.answers[item.key]?.[question.key];
};
const given = () => Object.values(sheet.answers).reduce((sum, one) => sum + Object.keys(one).length, 0);
const firstOpen = () => {
  for (let step = 0; step < total(); step++) if (!answer(step)) return step;
  return total();
};

function pause(value) {
  busy = value;
  at("ballot").setAttribute("aria-busy", value);
}

function goTo(step) {
  place = step;
  if (place >= total()) return end("done");
  show("ballot");
  draw();
  setTimeout(() => pause(false), REST);
}

function draw() {
  const [item, question] = here();
  at("base").textContent = item.base;
  at("target").textContent = item.target;
  at("text").textContent = question.text.replace("{target}", () => item.target);
  at("hint").textContent = question.hint;
  at("steps").replaceChildren(...sheet.questions.map((one, index) => {
    const step = make("span", { textContent: one.step });
    if (one === question) step.setAttribute("aria-current", "step");
    step.classList.toggle("given", Boolean(answer(place - (place % sheet.questions.length) + index)));
    return step;
  }));
  for (const id of ["original", "left", "right"]) picture(at(id), item[id]);
  for (const button of document.querySelectorAll("[data-choice]")) {
    const chosen = button.dataset.choice === answer();
    button.classList.toggle("chosen", chosen);
    button.setAttribute("aria-pressed", chosen);
  }
  at("progress").value = given() / total();
  at("place").textContent = `${Math.floor(place / sheet.questions.length) + 1} of ${sheet.items.length}`;
  at("back").disabled = place === 0;
  at("forward").disabled = !answer();
  const next = sheet.items[Math.floor(place / sheet.questions.length) + 1];
  if (next) for (const id of ["original", "left", "right"]) new Image().src = store.locate(next[id]);
}

function picture(image, where) {
  const url = store.locate(where);
  if (image.getAttribute("src") !== url) image.src = url;
  image.onload = () => image.classList.toggle("small", image.naturalWidth < 200);
}

async function choose(choice) {
  if (busy || at("ballot").hidden) return;
  pause(true);
  const [item, question] = here();
  for (const button of document.querySelectorAll("[data-choice]")) {
    button.classList.toggle("chosen", button.dataset.choice === choice);
  }
  try {
    left = await store.save(item.key, question.key, choice);
    since = Date.now();
  } catch (error) {
    if (error instanceof Closed) return end(error.message);
    return notice("This answer was not taken. Please load the page again.");
  }
  (sheet.answers[item.key] ??= {})[question.key] = choice;
  goTo(place + 1);
}

function turn(step) {
  if (busy || at("ballot").hidden || place + step < 0 || (step > 0 && !answer())) return;
  pause(true);
  goTo(place + step);
}

function end(why) {
  pause(true);
  show("end");
  const words = { done: "That was the last question.", over: "Your time is over.", finished: "Thank you!" };
  at("thanks").textContent = words[why];
  at("farewell").textContent = why === "finished" ? store.after : `${given()} of ${total()} questions are answered. ${store.before}`;
  at("hand").hidden = why === "finished" && store.hand === "Hand in";
  at("hand").textContent = store.hand;
  at("look").hidden = why !== "done";
}

function remaining() {
  return Math.max(left - Math.min((Date.now() - since) / 1000, PAUSES), 0);
}

function tick() {
  const seconds = Math.ceil(remaining());
  at("clock").textContent = seconds > 90 ? `· ${Math.ceil(seconds / 60)} min left` : `· ${seconds} s left`;
  if (seconds === 0 && !at("ballot").hidden && !busy) end("over");
}

document.addEventListener("keydown", (event) => {
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || at("ballot").hidden) return;
  const choices = { ArrowLeft: "left", ArrowRight: "right", ...(sheet.ties ? { ArrowDown: "equal" } : {}) };
  if (event.key in choices) choose(choices[event.key]);
  else if (event.key === "Backspace") turn(-1);
  else return;
  event.preventDefault();
});
for (const button of document.querySelectorAll("[data-choice]")) {
  button.addEventListener("click", () => choose(button.dataset.choice));
}
at("back").addEventListener("click", () => turn(-1));
at("forward").addEventListener("click", () => turn(1));
at("look").addEventListener("click", () => goTo(total() - 1));
at("hand").addEventListener("click", async () => {
  await store.finish();
  end("finished");
});
at("begin").addEventListener("click", () => {
  since = Date.now();
  goTo(firstOpen());
  at("ballot").scrollIntoView();
});

async function start() {
  sheet = await store.load();
  left = sheet.left;
  since = Date.now();
  document.body.classList.toggle("no-ties", !sheet.ties);
  at("asked").replaceChildren(...sheet.questions.flatMap((one) => [
    make("dt", { textContent: one.text.replace("“{target}”", "what was asked for") }), make("dd", { textContent: one.hint }),
  ]));
  at("extent").textContent = `There are ${sheet.items.length} comparisons; you have about ${Math.ceil(left / 60)} minutes.`;
  setInterval(tick, 500);
  if (sheet.finished) return end("finished");
  if (left === 0) return end("over");
  if (given()) at("begin").textContent = `Go on, ${given()} of ${total()} questions are answered`;
  show("intro");
}
start().catch(() => notice("The ballot cannot be loaded. Please look at your invitation again."));
