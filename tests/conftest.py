"""What every folder of tests shares: where the vectors are, and what a skip means.

A test that reads the vectors takes the fixture ``vectors`` (their folder), which marks it, or wears the mark itself.
On a machine without the folder those tests are deselected, and one line says so. In CI (``CI=true``) that is a
failure, and so is every skipped or xfailed test: a judge that did not come has not judged.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.support.ca import Authority
from tests.support.softhsm import SoftHsm

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(__file__).resolve().parent.parent
VECTORS = Path(os.environ.get("SMIME_AGENT_VECTORS") or ROOT.parent / "shared" / "vectors")
CI = os.environ.get("CI", "").lower() in {"1", "true", "yes"}

DESELECTED = pytest.StashKey[int]()

# Tokens and shared machines are slow now and then: a deadline would fail at random. In CI the examples do not change
# from run to run, so a failure there is the commit's.
settings.register_profile("smime-agent", deadline=None, derandomize=CI, print_blob=True)
settings.load_profile("smime-agent")


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of vectors. Asking for it is enough to carry the mark."""
    return VECTORS


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    """The SoftHSM of this process. The module reads its configuration once, so there is only one."""
    return SoftHsm.configured(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="session")
def root_ca() -> Authority:
    """A root CA."""
    return Authority("Test Root CA")


@pytest.fixture(scope="session")
def issuing_ca(root_ca: Authority) -> Authority:
    """The CA under it that issues everything."""
    return Authority("Test Issuing CA", root_ca)


@pytest.fixture(autouse=True)
def _no_settings_of_the_person(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No configuration, data or default token of whoever runs the tests has a say."""
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    for name in ("XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name in [name for name in os.environ if name.startswith("SMIME_AGENT_") and name != "SMIME_AGENT_VECTORS"]:
        monkeypatch.delenv(name)


# First, so that `-m vectors` and `-m "not vectors"` see the mark.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that read the vectors, and leave them out where there are none."""
    for item in items:
        if "vectors" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.vectors)
    if VECTORS.is_dir():
        return
    absent = [item for item in items if item.get_closest_marker("vectors")]
    if not absent:
        return
    if CI:
        raise pytest.UsageError(f"{len(absent)} tests read the vectors, and there is no folder {VECTORS}")
    config.stash[DESELECTED] = len(absent)
    config.hook.pytest_deselected(items=absent)
    items[:] = [item for item in items if not item.get_closest_marker("vectors")]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In CI, fail the session for a test that did not run to its end."""
    if CI and session.exitstatus == pytest.ExitCode.OK and _not_run(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out, and in CI that it may not be."""
    if count := config.stash.get(DESELECTED, 0):
        terminalreporter.write_line(f"{count} tests deselected: no vectors in {VECTORS} (SMIME_AGENT_VECTORS)")
    if CI and (names := list(_not_run(config))):
        terminalreporter.write_line(f"CI: {len(names)} skipped or xfailed, and each is a failure:", red=True)
        for name in names:
            terminalreporter.write_line(f"  {name}", red=True)


def _not_run(config: pytest.Config) -> Iterable[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    stats = reporter.stats if isinstance(reporter, pytest.TerminalReporter) else {}
    return [report.nodeid for outcome in ("skipped", "xfailed", "xpassed") for report in stats.get(outcome, ())]
