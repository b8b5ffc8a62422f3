// Where answers go: the server, which confirms each one only when it is on disk.
const wait = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));

async function send(path, options) {
  const response = await fetch(path, { cache: "no-store", ...options });
  const told = await response.json().catch(() => ({}));
  if (response.status === 409) throw new Closed(told.closed);
  if (!response.ok) throw new Error(String(response.status));
  return told;
}

// Asks again until the server answers: a vote is never given up, and twice the same vote is one.
async function insist(path, options) {
  for (let pause = 0.5; ; pause = Math.min(2 * pause, 8)) {
    try {
      const told = await send(path, options);
      notice("");
      return told;
    } catch (error) {
      if (error instanceof Closed || /^4/.test(error.message)) throw error;
      notice("The server cannot be reached. Your answer is kept here and sent again…");
      await wait(pause);
    }
  }
}

const store = {
  load: () => insist("ballot"),
  async save(item, question, choice) {
    const body = JSON.stringify({ item, question, choice });
    return (await insist("vote", { method: "PUT", headers: { "Content-Type": "application/json" }, body })).left;
  },
  finish: () => insist("finish", { method: "POST" }),
  locate: (path) => path,
  hand: "Hand in",
  before: "Once it is handed in, answers cannot be changed any more.",
  after: "Your answers are in. You can close this page.",
};
