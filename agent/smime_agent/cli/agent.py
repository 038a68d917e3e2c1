"""``smime-agent agent``: one PIN for many programs."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smime_agent.cli import ui
from smime_agent.cli.agent_install import install
from smime_agent.cli.options import JsonOption
from smime_agent.daemon.client import AgentClient
from smime_agent.daemon.runtime import socket_path
from smime_agent.errors import AgentError

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(add_completion=False, rich_markup_mode=None, no_args_is_help=True)

_START_SECONDS = 10.0
SocketOption = Annotated[
    Path | None, typer.Option("--socket", metavar="PATH", help="The agent's socket, instead of the user's usual one.")
]


@app.callback()
def agent() -> None:
    """Hold tokens for all programs of one user.

    Commands use the agent by themselves while it runs.
    """


@app.command()
def run(socket: SocketOption = None) -> None:
    """Be the agent, in the foreground: for systemd, and for looking at it."""
    from smime_agent import __version__
    from smime_agent.daemon.agent import run as serve

    serve(socket, __version__)


@app.command()
def start(socket: SocketOption = None) -> None:
    """Start the agent in the background, unless it runs."""
    client = AgentClient.connect(path=socket)
    if client is not None:
        client.close()
        ui.note(f"the agent runs already, at {socket or socket_path()}")
        return
    arguments = ["--socket", str(socket)] if socket is not None else []
    reading, writing = os.pipe()
    process = subprocess.Popen(  # noqa: S603 - ourselves
        [sys.executable, "-P", "-m", "smime_agent", "agent", "run", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=writing,
        cwd="/",
        start_new_session=True,
    )
    os.close(writing)
    _await(process, reading, socket)
    ui.note(f"the agent runs (process {process.pid}), at {socket or socket_path()}")


def _await(process: subprocess.Popen[bytes], errors: int, socket: Path | None) -> None:
    """Until it answers; what it says when it does not start is told.

    Raises:
        AgentError: it does not.
    """
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            text = os.read(errors, 1 << 16).decode(errors="replace").strip()
            raise AgentError(
                "the agent does not start", hint="'smime-agent agent run' shows why", details=text.splitlines()
            )
        client = AgentClient.connect(path=socket)
        if client is not None:
            client.close()
            return
        time.sleep(0.02)
    process.terminate()
    raise AgentError(f"the agent does not answer within {_START_SECONDS:.0f} seconds")


@app.command()
def status(json: JsonOption = False, socket: SocketOption = None) -> None:
    """Show which tokens the agent holds, who is logged in for how long, and what it watches."""
    with _connected(socket) as client:
        answer = client.ask("status").members()
    if json:
        ui.json_line("agent-status/1", **answer)
        return
    ui.fields(_told(answer))


@app.command()
def lock(socket: SocketOption = None) -> None:
    """End all logins at once: every PIN is wanted anew."""
    with _connected(socket) as client:
        dropped = client.ask("lock").number("dropped")
    ui.note("nobody was logged in" if not dropped else f"locked: {dropped} login{'' if dropped == 1 else 's'} ended")


@app.command()
def stop(socket: SocketOption = None) -> None:
    """End the agent, and all logins with it."""
    client = AgentClient.connect(path=socket)
    if client is None:
        ui.note("no agent runs")
        return
    with client:
        client.ask("stop")
        client.wait_for_end()  # which comes when its process ends
    ui.note("the agent has stopped")


app.command()(install)


def _connected(socket: Path | None) -> AgentClient:
    client = AgentClient.connect(path=socket)
    if client is None:
        msg = f"no agent listens at {socket or socket_path()}"
        raise AgentError(msg, hint="'smime-agent agent start' starts it")
    return client


def _told(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    since = datetime.fromtimestamp(answer["since"], UTC)
    yield "agent", f"version {answer['version']}, process {answer['pid']}, since {since:%Y-%m-%d %H:%M} UTC"
    yield "clients", str(answer["clients"])
    for module in answer["modules"]:
        yield "module", module
    for token in answer["tokens"]:
        serial = f" (serial {token['serial']})" if token["serial"] else ""
        yield "token", f"'{token['label']}'{serial}: {_login(token['login'])}"
    if not answer["tokens"]:
        yield "token", "none is held"
    audit, hardening = answer["audit"], answer["hardening"]
    yield "audit", f"{audit['lines']} lines, the last with the hash {audit['head']}"
    watching = [what for what, is_up in answer["watching"].items() if is_up]
    yield "watches", ", ".join(watching) or "nothing: neither readers nor a desktop can be heard"
    missing = f"; missing: {', '.join(hardening['missing'])}" if hardening["missing"] else ""
    yield "hardening", ", ".join(hardening["achieved"]) + missing
    for holder in answer.get("holders", ()):
        yield "reader", f"in use by {holder}"


def _login(login: dict[str, Any] | None) -> str:
    if login is None:
        return "nobody is logged in"
    key = f" for {login['key']}" if login["key"] else ""
    uses = f"{login['used']} use{'' if login['used'] == 1 else 's'}"
    if login["allowed"] is not None:
        uses = f"{login['used']} of {login['allowed']} uses"
    return f"logged in{key}, {login['seconds_left']} s left, {uses}"
