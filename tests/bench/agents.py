"""What the agent costs, and what its workers bring."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from statistics import median
from typing import TYPE_CHECKING

from tests.bench import bare_loop, measure
from tests.bench.row import Better, Row
from tests.bench.setting import CAROL, RSA_ADDRESS, smime_agent
from tests.bench.strangers import Gpgsm
from tests.faulty import FaultScript, build
from tests.support.agent import RunningAgent
from tests.support.softhsm import MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.bench.row import Size
    from tests.bench.setting import Setting

#: Milliseconds of each call, of which python-pkcs11 makes two for a signature: an HSM across a network.
_FAR = 2


def rows(setting: Setting, size: Size) -> Iterator[Row]:
    """Every comparison, as soon as it is measured."""
    yield from _bulk(setting, size)
    yield from _workers(setting, size)
    yield from _commit(setting, size)


def _bulk(setting: Setting, size: Size) -> Iterator[Row]:
    folder = setting.mails("agent", RSA_ADDRESS, size.mails)
    with _agent(setting, "bulk") as agent:
        seconds = measure.in_turns(
            {
                "agent": lambda: _sign(setting, agent, folder, "--agent"),
                "token": lambda: _sign(setting, agent, folder, "--no-agent", "--pin-source", "env:PIN"),
            },
            size.rounds,
        )
    rates = {rival: f"{size.mails / median(times):,.0f} mails/s" for rival, times in seconds.items()}
    ratio = measure.median_ratio(seconds["token"], seconds["agent"])
    what = f"{size.mails:,} mails, RSA-2048, `sign --output-dir` through the agent, start included"
    yield Row(what, rates["agent"], f"{rates['token']}, the same without it", ratio, 0.85)


def _workers(setting: Setting, size: Size) -> Iterator[Row]:
    count = size.mails // 2
    folder = setting.mails("lanes", RSA_ADDRESS, count)
    script = FaultScript(setting.folder / "faults")
    script.write(slow=f"C_Sign:{_FAR}")
    module = str(build(_folder(setting, "module")))
    os.environ |= script.environment
    seconds = {}
    for workers in (1, 2):
        with _agent(setting, f"lanes-{workers}", f"workers = {workers}\n", module) as agent:

            def sign(agent: RunningAgent = agent) -> float:
                return _sign(setting, agent, folder, "--agent")

            seconds[workers] = measure.in_turns({"one": sign}, size.rounds_of_workers)["one"]
    rates = {workers: f"{count / median(times):,.0f} mails/s" for workers, times in seconds.items()}
    ratio = measure.median_ratio(seconds[1], seconds[2])
    what = f"{count:,} mails, RSA-2048 on a token that takes {2 * _FAR} ms longer, an agent with two workers"
    yield Row(what, rates[2], f"{rates[1]} with one", ratio, 1.8)


def _commit(setting: Setting, size: Size) -> Iterator[Row]:
    program = str(setting.folder / "smime-agent-gpgsm")
    shutil.copy(smime_agent() + "-gpgsm", program)
    with Gpgsm(replace(setting, folder=_folder(setting, "gpgsm"))) as gpgsm, _agent(setting, "commit") as agent:
        theirs = gpgsm.program()
        seconds = measure.in_turns(
            {
                "ours": lambda: _committed(setting, agent, program, RSA_ADDRESS),
                "gpgsm": lambda: _committed(setting, agent, str(theirs), CAROL.addresses[0]),
            },
            size.rounds_of_starts,
        )
    milliseconds = {rival: f"{median(times) * 1000:.0f} ms" for rival, times in seconds.items()}
    ratio = measure.median_ratio(seconds["ours"], seconds["gpgsm"])
    what = "one `git commit -S`, RSA-2048, through the agent"
    yield Row(what, milliseconds["ours"], f"{milliseconds['gpgsm']}, `gpgsm`", ratio, 0.3, Better.LESS)


def _committed(setting: Setting, agent: RunningAgent, program: str, key: str) -> float:
    repository = setting.folder / "repository"
    git: tuple[str, ...] = ("git", "-C", str(repository), "-c", "user.name=Alice", "-c", f"user.email={RSA_ADDRESS}")
    if not repository.exists():
        subprocess.run(["git", "init", "-q", str(repository)], check=True)
    settings = ("-c", "gpg.format=x509", "-c", f"gpg.x509.program={program}", "-c", f"user.signingKey={key}")
    env = {**agent.environment, "SMIME_AGENT_TOKEN": bare_loop.TOKEN}
    return measure.run((*git, *settings, "commit", "-q", "-S", "--allow-empty", "-m", "a change"), env=env).seconds


def _sign(setting: Setting, agent: RunningAgent, folder: Path, *options: str) -> float:
    output = setting.folder / "agent-signed"
    command: tuple[str | Path, ...] = (
        smime_agent(),
        "sign",
        "--token",
        bare_loop.TOKEN,
        *options,
        folder,
        "--output-dir",
        output,
    )
    seconds = measure.run(command, env=agent.environment).seconds
    shutil.rmtree(output)
    return seconds


@contextmanager
def _agent(setting: Setting, name: str, config: str = "", module: str = MODULE) -> Iterator[RunningAgent]:
    with RunningAgent(_folder(setting, name), config, module=module) as agent:
        yield agent


def _folder(setting: Setting, name: str) -> Path:
    folder = setting.folder / f"agent-{name}"
    folder.mkdir()
    return folder
