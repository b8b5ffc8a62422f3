"""The ballot as a small web application: who has a code sees their own ballot, and nothing else."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spf_bench.errors import UserError, installing, quoted
from spf_bench.study import page
from spf_bench.study.model import IMAGES, VOTES, Ballot, Study
from spf_bench.study.votes import ClosedError, Votes

if TYPE_CHECKING:
    from flask import Flask, Request, Response

EXTRA = installing("study")
LARGEST = 2_000
"""Bytes of a request: a vote has about 60."""
THREADS, CONNECTIONS = 8, 1000
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",  # the address holds the participant's code
    "X-Robots-Tag": "noindex",
}
UNKNOWN = "This code is not known. Please look at your invitation again."


def create(folder: Path) -> "Flask":
    """Return the application of a study's folder.

    Raises:
        UserError: There is no study in it, or Flask is not installed.
    """
    try:
        import flask
    except ImportError as error:
        raise UserError("ballots are served by Flask", "it is not installed", EXTRA) from error
    study = Study.load(folder)
    votes = Votes(folder / VOTES)
    app = flask.Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = LARGEST
    app.extensions["votes"] = votes
    whole = page.served_ballot()
    door = {text: page.door(text) for text in ("", UNKNOWN)}

    def mine(code: str) -> Ballot:
        ballot = study.by_code.get(code.strip().lower())
        if ballot is None:
            flask.abort(404)
        return ballot

    @app.after_request
    def guard(response: "Response") -> "Response":
        response.headers.update(HEADERS)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    @app.errorhandler(404)
    def unknown(_: Exception) -> tuple[str, int]:
        return door[UNKNOWN], 404

    @app.get("/")
    def enter() -> Any:
        code = flask.request.args.get("code", "").strip().lower()
        return flask.redirect(f"b/{mine(code).code}/", 303) if code else door[""]

    @app.get("/b/<code>/")
    def ballot(code: str) -> str:
        mine(code)
        return whole

    @app.get("/b/<code>/ballot")
    def content(code: str) -> dict[str, Any]:
        own = mine(code)
        clock = votes.enter(own.number)
        told = page.content(study, own, lambda _, what: f"i/{what}")
        left = max(60 * study.minutes - clock.active, 0.0)
        return {**told, "answers": votes.of(own.number), "finished": clock.finished, "left": left}

    @app.get("/b/<code>/i/<key>-<what>")
    def picture(code: str, key: str, what: str) -> "Response":
        item = mine(code).by_key.get(key)
        if item is None or what not in ("o", "l", "r"):
            flask.abort(404)
        one = study.units[item.unit]
        name = one.original if what == "o" else one.images[(what == "r") != item.flipped]
        raw = (folder / IMAGES / name).read_bytes()  # by hand: send_file would tell its date, and with that its method
        return flask.Response(raw, mimetype="image/png", headers={"Cache-Control": "private, max-age=86400"})

    @app.put("/b/<code>/vote")
    def vote(code: str) -> Any:
        own = mine(code)
        fault, given = _read(study, own, _json(flask.request))
        if fault:
            return {"error": fault}, 400
        try:
            return {"left": votes.vote(own.number, *given, limit=60 * study.minutes)}
        except ClosedError as closed:
            return {"closed": str(closed)}, 409

    @app.post("/b/<code>/finish")
    def finish(code: str) -> dict[str, bool]:
        votes.finish(mine(code).number)
        return {"finished": True}

    return app


def serve(folder: Path, host: str, port: int) -> Any:
    """Return a server that waits at ``port`` (0: any free one, see ``effective_port``); its ``run`` serves.

    Raises:
        UserError: There is no study, waitress is not installed, or the address is taken.
    """
    try:
        import waitress
    except ImportError as error:
        raise UserError("ballots are served by waitress", "it is not installed", EXTRA) from error
    app = create(folder)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # else a line for every request that waits its turn
    try:
        return waitress.create_server(
            app, host=host, port=port, threads=THREADS, connection_limit=CONNECTIONS, asyncore_use_poll=True, ident=None
        )
    except OSError as error:
        fix = f"spf-bench study serve {quoted(folder)} --port {port + 1}"
        raise UserError(f"cannot listen at {host}:{port}", error.strerror or str(error), fix) from error


def port_of(server: Any) -> int:
    """Return the port a server waits at; of a name with several addresses, that of the first."""
    several = getattr(server, "effective_listen", None)
    return int(several[0][1] if several else server.effective_port)


def _json(request: "Request") -> Any:
    """Return what a request holds; None where that is no JSON, or nested deeper than Python reads."""
    try:
        return request.get_json(silent=True)
    except RecursionError:
        return None


def _read(study: Study, own: Ballot, data: Any) -> tuple[str, tuple[str, str, str]]:
    """Return what is wrong with a vote, or the vote: item, question, choice."""
    given = [data.get(name) for name in ("item", "question", "choice")] if isinstance(data, dict) else [None] * 3
    item, question, choice = (value if isinstance(value, str) else "" for value in given)
    known = {"item": own.by_key, "question": [q.key for q in study.questions], "choice": study.choices}
    wrong = [
        name for (name, ones), value in zip(known.items(), (item, question, choice), strict=True) if value not in ones
    ]
    return (f"not of this ballot: {', '.join(wrong)}" if wrong else ""), (item, question, choice)
