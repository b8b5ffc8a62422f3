// Where answers go: this browser, and at the end a file to send back.
const data = JSON.parse(at("data").textContent);
const PAUSE = 120;
let mine, kept;

function key() {
  return `ballot ${data.study} ${mine.code}`;
}

function keep() {
  try {
    localStorage.setItem(key(), JSON.stringify(kept));
  } catch {
    notice("This browser keeps nothing: please answer everything at one sitting.");
  }
}

function fresh() {
  return { answers: {}, seconds: {}, active: 0, finished: false };
}

function recall() {
  try {
    return JSON.parse(localStorage.getItem(key())) ?? fresh();
  } catch {
    return fresh();
  }
}

// 16 bits of FNV-1a, which tell a mistyped code from a right one.
function checked(code) {
  let value = 2166136261;
  for (const character of code) value = Math.imul(value ^ character.charCodeAt(0), 16777619) >>> 0;
  return value & 0xffff;
}

function invited(text) {
  const code = text.trim().toLowerCase();
  const number = code.split("-")[0];
  const ballot = Object.hasOwn(data.ballots, number) ? data.ballots[number] : null;
  return ballot && ballot.check === checked(code) ? { code, ballot } : null;
}

function ask() {
  show("code");
  return new Promise((done) => {
    at("enter").addEventListener("submit", (event) => {
      event.preventDefault();
      const found = invited(event.target.elements.code.value);
      if (found) done(found);
      else at("refused").textContent = "This code is not known. Please look at your invitation again.";
    });
  });
}

function download() {
  const rows = Object.entries(kept.answers).flatMap(([item, answers]) =>
    Object.entries(answers).map(([question, choice]) =>
      ({ item, question, choice, seconds: kept.seconds[`${item} ${question}`] })));
  const content = { study: data.study, code: mine.code, saved: new Date().toISOString(), answers: rows };
  const href = URL.createObjectURL(new Blob([JSON.stringify(content)], { type: "application/json" }));
  make("a", { href, download: `answers-${mine.code.split("-")[0]}.json` }).click();
}

const store = {
  async load() {
    mine = invited(decodeURIComponent(location.hash.slice(1))) ?? (await ask());
    kept = recall();
    this.seen = Date.now();
    const left = Math.max(60 * mine.ballot.minutes - kept.active, 0);
    return { ...mine.ballot, answers: structuredClone(kept.answers), finished: false, left };
  },
  async save(item, question, choice) {
    const limit = 60 * mine.ballot.minutes;
    const spent = Math.min(Math.max((Date.now() - this.seen) / 1000, 0), PAUSE);
    this.seen = Date.now();
    kept.active += spent;
    if (kept.active < limit) {
      kept.seconds[`${item} ${question}`] ??= Math.round(1000 * spent) / 1000;
      (kept.answers[item] ??= {})[question] = choice;
    }
    keep();
    if (kept.active >= limit) throw new Closed("over");
    return limit - kept.active;
  },
  async finish() {
    download();
  },
  locate: (index) => data.images[index],
  hand: "Save the file of answers",
  before: "Save your answers as a file, and send it back to who invited you.",
  after: "Please send the file back to who invited you. You can save it again.",
};
