"""What is kept on the disk: for whom, for how long, how much."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import pytest

from smime_agent.retrieval.cache import DiskCache
from tests.retrieval.conftest import LIMITS, Chain, Net
from tests.support.revocation_servers import HOUR, Responder, crl, crl_pointer, responder_pointer, sends

NOW = datetime(2026, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def name(number: int) -> str:
    return f"{number:064x}.crl"


def kept_crl(net: Net, made: bytes) -> Chain:
    """A chain whose CRL was fetched in another run."""
    net.server.serve("/crl", sends(made))
    chain = net.chain(crl_pointer(net.server.url("/crl")))
    net.gather(chain)
    return chain


def only_file(net: Net) -> Path:
    (path,) = net.folder.iterdir()
    return path


def test_a_kept_crl_is_used_in_the_next_run(net: Net) -> None:
    made = crl(net.authority)
    chain = kept_crl(net, made)
    assert net.gather(chain).crls == (made,)
    assert net.server.asked("/crl") == 1


def test_a_kept_response_is_used_in_the_next_run(net: Net) -> None:
    chain = net.chain(responder_pointer(net.server.url("/ocsp")))
    net.server.serve("/ocsp", Responder(net.authority).behaviour(chain.issued))
    first, second = net.gather(chain), net.gather(chain)
    assert (first, net.server.asked("/ocsp")) == (second, 1)


def test_a_kept_response_is_about_one_certificate(net: Net) -> None:
    first, second = (net.chain(responder_pointer(net.server.url("/ocsp"))) for _ in range(2))
    net.server.serve("/ocsp", Responder(net.authority).behaviour(first.issued, second.issued))
    assert net.gather(first).ocsp_responses != net.gather(second).ocsp_responses


def test_nothing_is_used_after_its_next_update(net: Net) -> None:
    chain = kept_crl(net, crl(net.authority, next_update=2 * HOUR))
    net.pass_time(hours=2, seconds=1)
    assert net.gather(chain, offline=True).crls == ()


def test_a_crl_is_used_for_a_week_at_most(net: Net) -> None:
    chain = kept_crl(net, crl(net.authority, next_update=1000 * DAY))
    net.pass_time(days=7, seconds=1)
    assert net.gather(chain, offline=True).crls == ()


@pytest.mark.parametrize(("next_update", "hours"), [(1000 * DAY, 24), (None, 25 / 60)])
def test_a_response_is_used_for_a_while_at_most(net: Net, next_update: timedelta | None, hours: float) -> None:
    chain = net.chain(responder_pointer(net.server.url("/ocsp")))
    responder = Responder(net.authority, next_update=next_update)
    net.server.serve("/ocsp", responder.behaviour(chain.issued))
    net.gather(chain)
    net.pass_time(hours=hours, seconds=-60)
    before = net.gather(chain, offline=True).ocsp_responses
    net.pass_time(seconds=61)
    assert (len(before), net.gather(chain, offline=True).ocsp_responses) == (1, ())


def test_a_run_that_lasts_does_not_use_what_ran_out_meanwhile(net: Net) -> None:
    first, second = crl(net.authority, next_update=2 * HOUR), crl(net.authority, next_update=9 * HOUR)
    net.server.serve("/crl", sends(first))
    chain = net.chain(crl_pointer(net.server.url("/crl")))
    source = net.source()
    source.gather(chain.certificates, NOW)
    net.server.serve("/crl", sends(second))
    net.pass_time(hours=3)
    assert source.gather(chain.certificates, NOW).crls == (second,)


def test_what_was_kept_in_the_future_is_not_used(net: Net) -> None:
    chain = kept_crl(net, crl(net.authority, this_update=-50 * HOUR))
    net.pass_time(hours=-24)
    assert net.gather(chain, offline=True).crls == ()


def test_offline_nobody_is_asked(net: Net) -> None:
    chain = net.chain(crl_pointer(net.server.url("/crl")), responder_pointer(net.server.url("/ocsp")))
    problems = net.gather(chain, offline=True).problems
    host = f"127.0.0.1:{net.server.port}"
    assert problems == (f"Alice Example: nothing current is kept of {host}, and it is not asked",) * 2
    assert net.server.requests == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "longer"])
def test_a_damaged_file_is_replaced(net: Net, damage: str) -> None:
    made = crl(net.authority)
    chain = kept_crl(net, made)
    path = only_file(net)
    octets = path.read_bytes()
    damaged = {
        "cut": octets[:-1],
        "flipped": octets[:-1] + bytes((octets[-1] ^ 1,)),
        "empty": b"",
        "foreign": b"#!/bin/sh\n",
        "longer": octets + b"\0",
    }
    path.write_bytes(damaged[damage])
    assert net.gather(chain).crls == (made,)
    assert path.read_bytes()[40:] == octets[40:]


def test_a_file_under_another_name_is_not_used(net: Net) -> None:
    chain = kept_crl(net, crl(net.authority))
    other = net.chain(crl_pointer(net.server.url("/other")))
    net.server.serve("/other", sends(crl(net.authority)))
    first = only_file(net)
    net.gather(other)
    (second,) = set(net.folder.iterdir()) - {first}
    second.write_bytes(first.read_bytes())
    assert net.gather(other, offline=True).crls == ()
    assert len(net.gather(chain, offline=True).crls) == 1


def replace_by(kind: str, path: Path) -> None:
    moved = path.rename(path.parent / "moved")
    if kind == "link":
        path.symlink_to(moved)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_not_read(net: Net, kind: str) -> None:
    chain = kept_crl(net, crl(net.authority))
    replace_by(kind, only_file(net))
    assert net.gather(chain, offline=True).crls == ()


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_does_no_harm(net: Net, kind: str) -> None:
    made = crl(net.authority)
    chain = kept_crl(net, made)
    replace_by(kind, only_file(net))
    assert net.gather(chain).crls == (made,)


def test_the_folder_and_its_files_are_the_persons_alone(net: Net) -> None:
    kept_crl(net, crl(net.authority))
    assert (net.folder.stat().st_mode & 0o777, only_file(net).stat().st_mode & 0o777) == (0o700, 0o600)


def test_the_name_of_a_file_tells_nothing(net: Net) -> None:
    kept_crl(net, crl(net.authority))
    stem, _, kind = only_file(net).name.partition(".")
    assert (len(stem), int(stem, 16) > 0, kind) == (64, True, "crl")


def test_a_folder_that_cannot_be_made_keeps_nothing(net: Net) -> None:
    net.folder.write_bytes(b"")
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    evidence = net.gather(net.chain(crl_pointer(net.server.url("/crl"))))
    assert (evidence.crls, evidence.problems) == ((made,), ())


def test_a_folder_that_cannot_be_written_keeps_nothing(net: Net) -> None:
    net.folder = Path("/proc/self")  # where not even root makes files
    made = crl(net.authority)
    net.server.serve("/crl", sends(made))
    assert net.gather(net.chain(crl_pointer(net.server.url("/crl")))).crls == (made,)


def test_the_oldest_go_when_there_is_no_room(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 3 * 4096, 7 * DAY)
    for number in range(5):
        cache.write(name(number), b"x" * 1000, NOW)
        os.utime(tmp_path / name(number), (NOW.timestamp() + number,) * 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name(2), name(3), name(4)]


def test_what_is_larger_than_all_the_room_is_not_kept(tmp_path: Path) -> None:
    DiskCache(tmp_path, 4096, 7 * DAY).write(name(1), bytes(8192), NOW)
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_old_to_be_of_use_goes(tmp_path: Path) -> None:
    DiskCache(tmp_path, 1 << 20, 7 * DAY).write(name(1), b"x", NOW)
    os.utime(tmp_path / name(1), (NOW.timestamp() - 8 * 86400,) * 2)
    DiskCache(tmp_path, 1 << 20, 7 * DAY).write(name(2), b"x", NOW)
    assert [path.name for path in tmp_path.iterdir()] == [name(2)]


def test_the_half_of_a_file_that_somebody_left_goes(tmp_path: Path) -> None:
    left = tmp_path / f".smime-agent.{'0' * 16}.part"
    left.write_bytes(b"x")
    os.utime(left, (NOW.timestamp() - 7200,) * 2)
    DiskCache(tmp_path, 1 << 20, 7 * DAY).write(name(1), b"x", NOW)
    assert not left.exists()


def test_the_files_of_others_stay(tmp_path: Path) -> None:
    other = tmp_path / "letter.txt"
    other.write_bytes(bytes(1 << 20))
    os.utime(other, (0, 0))
    DiskCache(tmp_path, 4096, 7 * DAY).write(name(1), b"x", NOW)
    assert other.exists()


def test_many_may_write_the_same_at_once(tmp_path: Path) -> None:
    answers = [bytes((number,)) * 100_000 for number in range(4)]
    seen: list[bool] = []

    def work(answer: bytes) -> None:
        cache = DiskCache(tmp_path, 150_000, 7 * DAY)  # so small that they push each other out
        for _ in range(40):
            cache.write(name(1), answer, NOW)
            cache.write(name(2), answer, NOW)
            kept = cache.read(name(1), 1 << 20)
            seen.append(kept is None or kept[0] in answers)

    threads = [threading.Thread(target=work, args=(answer,)) for answer in answers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 160
    assert all(seen)


def test_a_kept_crl_of_a_hundred_thousand_entries_is_there_at_once(net: Net) -> None:
    limits = replace(LIMITS, each=20, together=20)
    net.server.serve("/crl", sends(crl(net.authority, range(1 << 100, (1 << 100) + 100_000))))
    chain = net.chain(crl_pointer(net.server.url("/crl")))
    net.gather(chain, limits)
    best = 1.0
    for _ in range(3):
        source = net.source(offline=True)
        start = perf_counter()
        evidence = source.gather(chain.certificates, datetime.now(UTC))
        best = min(best, perf_counter() - start)
        assert len(evidence.crls[0]) > 3_000_000
    assert best < 0.015
