"""What is compared with what, and what was promised."""

from __future__ import annotations

import itertools
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from smime_agent.api import signing
from smime_agent.tokens import module as modules
from tests.bench import agents, bare_loop, measure, secrecy, verifying
from tests.bench.row import MIB, Better, Row, Size
from tests.bench.setting import EC_ADDRESS, RSA_ADDRESS, smime_agent
from tests.bench.strangers import Gpgsm, openssl_detached
from tests.support.softhsm import MODULE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from smime_agent.api.signing import OpenToken
    from tests.bench.setting import Setting

_SIGN = ("sign", "--token", bare_loop.TOKEN, "--pin-source", "env:PIN")


FULL = Size(2_000, 10_000, 1_000_000_000, 7, 3, 15, 1_000, 52_000_000, 100_000)
QUICK = Size(200, 600, 50_000_000, 2, 1, 3, 100, 5_000_000, 1_000)


def rows(setting: Setting, size: Size) -> Iterator[Row]:
    """Every comparison, as soon as it is measured."""
    with setting.token.open() as token:
        yield from _rates(setting, size, token, _Key("RSA-2048", "RSA", RSA_ADDRESS, 0.90, 0.80))
        yield from _rates(setting, size, token, _Key("P-256", "EC", EC_ADDRESS, 0.40, 0.30))
    yield from _two_workers(setting, size)
    yield from _start(setting, size)
    yield from _large_file(setting, size)
    yield from verifying.rows(setting, size)
    yield from secrecy.rows(setting, size)
    yield from agents.rows(setting, size)


@dataclass(frozen=True)
class _Key:
    """A key, and what was promised for it."""

    name: str
    kind: str
    sender: str
    library_target: float
    command_target: float


def _rates(setting: Setting, size: Size, token: OpenToken, key: _Key) -> Iterator[Row]:
    """Mails a second of one process, against C_Sign alone."""
    folder, one = setting.mails(key.name, key.sender, size.mails), setting.mails(f"{key.name}-one", key.sender, 1)
    mails = [path.read_bytes() for path in sorted(folder.iterdir())]
    session = modules.load(MODULE).library.get_token(token_label=bare_loop.TOKEN).open()  # logged in with ``token``
    bare = bare_loop.BareLoop(session, key.kind, size.mails)

    def library() -> None:
        for result in signing.sign_all(mails, token):
            assert isinstance(result, signing.Signed)
            bytes(result)

    seconds = measure.in_turns(
        {
            "bare": lambda: measure.timed(bare),
            "library": lambda: measure.timed(library),
            "script": lambda: measure.run(_script(key.kind, size.mails)).seconds,
            "command": _Bulk(setting, folder, key.name),
            "script for one": lambda: measure.run(_script(key.kind, 1)).seconds,
            "command for one": _Bulk(setting, one, f"{key.name}-one"),
        },
        size.rounds,
    )
    for rival in ("script", "command"):
        pairs = zip(seconds[rival], seconds[f"{rival} for one"], strict=True)
        seconds[f"{rival}, steady"] = [whole - start for whole, start in pairs]
    session.close()
    what = f"{size.mails:,} mails, {key.name}"
    for ours, peer, label, target in (
        ("library", "bare", "through the library", key.library_target),
        ("command", "script", "through `sign --output-dir`, start included", key.command_target),
        ("command, steady", "script, steady", "through `sign --output-dir`, without the start", None),
    ):
        ratio = measure.median_ratio(seconds[peer], seconds[ours])
        rates = [f"{size.mails / median(seconds[rival]):,.0f}" for rival in (ours, peer)]
        yield Row(f"{what}, {label}", f"{rates[0]} mails/s", f"{rates[1]} C_Sign/s", ratio, target)


def _two_workers(setting: Setting, size: Size) -> Iterator[Row]:
    """Two processes against one, and what this machine gives two bare loops."""
    folder = setting.mails("many", RSA_ADDRESS, size.many_mails)
    few = setting.mails("few", RSA_ADDRESS, 2)
    two = ("--workers", "2")
    seconds = measure.in_turns(
        {
            "start of one": _Bulk(setting, few, "few-1"),
            "start of two": _Bulk(setting, few, "few-2", two),
            "one": _Bulk(setting, folder, "many-1"),
            "two": _Bulk(setting, folder, "many-2", two),
            "loop": lambda: measure.run(_script("RSA", size.mails)).seconds,
            "two loops": lambda: measure.timed(lambda: _at_once(_script("RSA", size.mails), 2)),
        },
        size.rounds_of_workers,
        warm_up=False,
    )
    steady = {
        name: [whole - start for whole, start in zip(seconds[name], seconds[f"start of {name}"], strict=True)]
        for name in ("one", "two")
    }
    what = f"{size.many_mails:,} mails, RSA-2048, `--workers 2`"
    for times, label, target in ((seconds, "start included", 1.8), (steady, "without the start", None)):
        rate = {name: f"{size.many_mails / median(times[name]):,.0f} mails/s" for name in ("one", "two")}
        ratio = measure.median_ratio(times["one"], times["two"])
        yield Row(f"{what}, {label}", rate["two"], f"{rate['one']} with one process", ratio, target)
    single, double = size.mails / median(seconds["loop"]), 2 * size.mails / median(seconds["two loops"])
    ratio = 2 * measure.median_ratio(seconds["loop"], seconds["two loops"])
    what = "what this machine gives: two scripts of C_Sign alone, RSA-2048"
    yield Row(what, f"{double:,.0f} C_Sign/s", f"{single:,.0f} C_Sign/s with one", ratio)


def _start(setting: Setting, size: Size) -> Iterator[Row]:
    """One signature from the shell."""
    message = next(setting.mails("single", RSA_ADDRESS, 1).iterdir())
    with Gpgsm(setting) as gpgsm:
        seconds = measure.in_turns(
            {
                "ours": lambda: measure.run((smime_agent(), *_SIGN, message)).seconds,
                "gpgsm": lambda: gpgsm.sign(message),
                "python": lambda: measure.run((sys.executable, "-c", "pass")).seconds,
            },
            size.rounds_of_starts,
        )
    milliseconds = {rival: f"{median(times) * 1000:.0f} ms" for rival, times in seconds.items()}
    for rival, peer, target in (
        ("gpgsm", "`gpgsm --detach-sign`, its agent running", 0.25),
        ("python", "`python -c pass`", 16),
    ):
        ratio = measure.median_ratio(seconds["ours"], seconds[rival])
        what = "one mail, RSA-2048, `smime-agent sign` from the shell"
        yield Row(what, milliseconds["ours"], f"{milliseconds[rival]}, {peer}", ratio, target, Better.LESS)


def _large_file(setting: Setting, size: Size) -> Iterator[Row]:
    """Time and memory of a detached signature over a large file."""
    content = setting.large_file(size.large_octets)
    key, certificate = setting.soft_key()
    ours: list[measure.Ran] = []
    theirs: list[measure.Ran] = []
    command = (smime_agent(), *_SIGN, "--key", RSA_ADDRESS, "--format", "der", content)

    def sign() -> float:
        ours.append(measure.run((*command, "-o", setting.folder / "large.p7s")))
        return ours[-1].seconds

    def openssl() -> float:
        theirs.append(openssl_detached(key, certificate, content, setting.folder / "large.openssl"))
        return theirs[-1].seconds

    seconds = measure.in_turns({"ours": sign, "openssl": openssl}, size.rounds)
    what = f"{size.large_octets // 1_000_000:,} MB, detached, RSA-2048"
    texts = {rival: f"{median(times):.2f} s" for rival, times in seconds.items()}
    ratio = measure.median_ratio(seconds["ours"], seconds["openssl"])
    yield Row(f"{what}, time", texts["ours"], f"{texts['openssl']}, `openssl cms -sign`", ratio, 1.1, Better.LESS)
    peak, other = (max(ran.peak_kib for ran in runs) * 1024 / MIB for runs in (ours, theirs))
    memory = f"{other:.0f} MiB, `openssl cms -sign`"
    yield Row(f"{what}, memory", f"{peak:.0f} MiB", memory, peak, 100, Better.LESS, " MiB")


def _script(kind: str, count: int) -> tuple[str, ...]:
    """The bare loop as a program."""
    return sys.executable, bare_loop.__file__, MODULE, kind, str(count)


def _at_once(command: Sequence[str], count: int) -> None:
    with ThreadPoolExecutor(count) as pool:
        list(pool.map(measure.run, [command] * count))


class _Bulk:
    """``smime-agent sign --output-dir`` over a folder, each time into a new one: the seconds of a run."""

    def __init__(self, setting: Setting, folder: Path, name: str, extra: Sequence[str] = ()) -> None:
        self._command: tuple[str | Path, ...] = (smime_agent(), *_SIGN, *extra, folder, "--output-dir")
        self._outputs = (setting.folder / f"out-{name}-{number}" for number in itertools.count())
        self._expected = sum(1 for _ in folder.iterdir())

    def __call__(self) -> float:
        output = next(self._outputs)
        seconds = measure.run((*self._command, output)).seconds
        found = sum(1 for _ in output.iterdir())
        if found != self._expected:
            msg = f"{found} of {self._expected} mails were signed"
            raise measure.BenchError(msg)
        return seconds
