"""One target in a process of its own: ``python -m tests.fuzz.runner TARGET``, started by ``tests.fuzz``."""

from __future__ import annotations

import argparse
import importlib
import random
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.fuzz.mutation import Mutation
    from tests.fuzz.recorder import Recorder

#: What a process may take beyond what it has once everything is loaded.
_MEMORY: Final = 768 << 20
_LONGEST: Final = 16 * 1024
_EXAMPLES: Final = 1_000


def coverage_guide() -> Any:  # noqa: ANN401 - atheris has no types
    """Atheris, where it is; it has no wheel for every interpreter, and for Linux alone."""
    try:
        return importlib.import_module("atheris")
    except ImportError:
        return None


def main() -> None:
    """Fuzz one target for a while, its start included."""
    begin = time.monotonic()
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--minimise", type=Path)
    arguments = parser.parse_args()
    atheris = None if arguments.minimise else coverage_guide()
    if atheris is None:
        from tests.fuzz.targets import TARGETS
    else:
        with atheris.instrument_imports(include=["smime_agent"]):
            from tests.fuzz.targets import TARGETS
    from tests.fuzz.recorder import Recorder, minimal

    target = TARGETS[arguments.target]
    seeds = arguments.folder / "seeds"
    run = target.made(seeds)
    if arguments.minimise:
        sys.stdout.buffer.write(minimal(run, arguments.minimise.read_bytes()))
        return
    findings, corpus = (arguments.folder / name / arguments.target for name in ("findings", "corpus"))
    findings.mkdir(parents=True, exist_ok=True)
    corpus.mkdir(parents=True, exist_ok=True)
    _limit_memory()
    recorder = Recorder(run, findings)
    others = [path.read_bytes() for path in sorted((seeds / target.seeds).iterdir())]
    left = max(round(arguments.seconds - (time.monotonic() - begin)), 1)
    if atheris is None:
        _by_hypothesis(recorder, target.mutation, others, left)
        return
    _by_coverage(atheris, recorder, _Mutator(atheris, target.mutation, others), [
        f"-max_total_time={left}", f"-max_len={_LONGEST}", "-timeout=30", "-rss_limit_mb=0",
        "-print_final_stats=1", f"-artifact_prefix={findings}/", str(corpus), str(seeds / target.seeds),
    ])  # fmt: skip


class _Mutator:
    """Every other time what libFuzzer does, which learns from comparisons, and else what knows the format."""

    def __init__(self, atheris: Any, mutation: Mutation, others: Sequence[bytes]) -> None:  # noqa: ANN401 - no types
        self._atheris = atheris
        self._mutation = mutation
        self._others = others

    def __call__(self, data: bytes, longest: int, seed: int) -> bytes:
        chance = random.Random(seed)  # noqa: S311 - so that a run can be had again
        if chance.randrange(3):
            return self._mutation(chance, bytes(data), self._others)[:longest]
        return bytes(self._atheris.Mutate(data, longest))


def _by_coverage(atheris: Any, recorder: Recorder, mutator: _Mutator, options: list[str]) -> None:  # noqa: ANN401 - the same
    atheris.Setup([sys.argv[0], *options], recorder, custom_mutator=mutator)
    atheris.Fuzz()  # it ends the process


def _by_hypothesis(recorder: Recorder, mutation: Callable[..., bytes], seeds: Sequence[bytes], seconds: float) -> None:
    """Changed seeds as long as there is time, without knowing what of the code they reach."""
    end = time.monotonic() + seconds

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(seeds), st.randoms(use_true_random=True), st.integers(1, 4))
    def some(seed: bytes, chance: random.Random, times: int) -> None:
        data = seed
        for _ in range(times):
            data = mutation(chance, data, seeds)[:_LONGEST]
        if time.monotonic() < end:
            recorder(data)

    for seed in seeds:
        recorder(seed)
    while time.monotonic() < end:
        some()
    sys.stderr.write(f"stat::number_of_executed_units: {recorder.runs}\n")


def _limit_memory() -> None:
    """Let nothing take all of the machine's memory; ``MemoryError`` is a finding."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + _MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


if __name__ == "__main__":
    main()
