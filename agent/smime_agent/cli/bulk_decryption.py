"""Many messages, decrypted in one login, in this process or in several."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from smime_agent.api.decrypting import Decryptor, keys_of
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.certificates.history import History, history_path
from smime_agent.cli import ui
from smime_agent.cli.access import RememberingPrompter
from smime_agent.cli.bulk import Outcome
from smime_agent.cli.card import decryption_card, headline
from smime_agent.cli.findings import decryption_as_json, failure_as_json
from smime_agent.cli.jobs import Job, make_folder, plan_jobs
from smime_agent.cli.output import open_source, write_result
from smime_agent.cli.trust import contacts_to_fill
from smime_agent.cli.verification import memory_of, tell_host
from smime_agent.config import data_directory
from smime_agent.errors import SmimeAgentError, UsageError, ends_the_run, not_tried
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.session import TokenSession
from smime_agent.tokens.substitutes import OF_THIS_PROCESS
from smime_agent.tokens.token import Search
from smime_agent.trust.evidence import RevocationMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from smime_agent.cli.access import Access
    from smime_agent.cli.remembering import Memory
    from smime_agent.keys import Prompter
    from smime_agent.smime.opening import DecryptionKeys

#: Where a result goes that nobody wants.
_NOWHERE: Final = Path(os.devnull)


@dataclass(frozen=True, slots=True)
class Manner:
    """How all messages are decrypted, and what is told of each; as plain values, since workers are told it too."""

    key: str | None
    expected_sender: str | None
    legacy: bool
    json: bool
    remember: bool


def decrypt_many(
    access: Access,
    options: VerifyOptions,
    messages: Sequence[Path],
    folder: Path | None,
    manner: Manner,
    workers: int | None = None,
) -> int:
    """Decrypt each into ``folder``, if there is one; the worst exit code is returned, the failures are listed.

    ``workers`` is what the command line says; the configuration's is for who named one token.
    """
    jobs = [Job(path, _NOWHERE) for path in messages] if folder is None else plan_jobs(messages, folder, "decrypt")
    if folder is not None:
        make_folder(folder)
    if workers is None and access.uses_agent:
        workers = 1  # the agent has its own
    elif workers is None:
        workers = access.config.workers if access.search.token is not None else 1
    verifier = Verifier(options, on_fetch=tell_host)  # what cannot be read is one error
    with ui.Progress(len(jobs), "decrypting") as progress:
        if workers > 1 and len(jobs) > 1:
            from smime_agent.cli.workers import in_workers

            task, pin = _verified_login(access)
            task |= {"verb": "decrypt", **asdict(manner), "verify": _plain(options)}
            task["substitutes"] = OF_THIS_PROCESS.reveal().hex()
            return _report(_told(in_workers(task, pin, jobs, workers), progress), len(jobs))
        with access.decryption_keys(manner.key) as keys:
            return _report(_told(decrypt_jobs(keys, verifier, manner, jobs), progress), len(jobs))


def decrypt_jobs(keys: DecryptionKeys, verifier: Verifier, manner: Manner, jobs: Iterable[Job]) -> Iterator[Outcome]:
    """Decrypt one after the other. Once a token or a PIN fails, the rest is not tried: each try may cost one."""
    decryptor = Decryptor(keys, verifier, legacy=manner.legacy)
    contacts = contacts_to_fill(in_retrospect=False) if manner.remember else None
    memory = memory_of(contacts, verifier.check)
    broken: SmimeAgentError | None = None
    for job in jobs:
        try:
            if broken is not None:
                raise not_tried(broken)
            yield _decrypted(decryptor, memory, manner, job)
        except SmimeAgentError as error:
            broken = broken or (error if ends_the_run(error) else None)
            report = _json(failure_as_json(error, str(job.message))) if manner.json else ""
            yield Outcome(job, error.exit_code, str(error), error.hint, report=report, details=tuple(error.details))


@contextmanager
def decrypting_in_worker(
    task: dict[str, Any], prompter: Prompter
) -> Iterator[Callable[[Iterable[Job]], Iterator[Outcome]]]:
    """What a worker does with its jobs, as the ``task`` of :func:`decrypt_many` says, once it is logged in.

    Raises:
        TokenError, PinError, UsageError, FileError
    """
    OF_THIS_PROCESS.adopt(bytes.fromhex(task["substitutes"]))
    manner = Manner(**{name.name: task[name.name] for name in fields(Manner)})
    search = Search(task["token"], task["module"])
    verifier = Verifier(_options(task["verify"]), on_fetch=tell_host)
    history = History(history_path(data_directory()), ui.warning)
    with TokenSession(search.one(), prompter) as session:
        session.login("to decrypt")
        with keys_of(search, prompter, history=history, key=manner.key) as keys:
            yield partial(decrypt_jobs, keys, verifier, manner)


def _decrypted(decryptor: Decryptor, memory: Memory | None, manner: Manner, job: Job) -> Outcome:
    with (
        open_source(job.message) as source,
        decryptor.opened(source, expected_sender=manner.expected_sender) as found,
    ):
        if job.output != _NOWHERE:
            write_result(found.content(), job.output, secret=True, size=found.size)
        name = str(job.message)
        kept = memory.keep(found.verification, alone=False) if memory is not None else None
        notes = kept.lines if kept is not None else ()
        if manner.json:
            remembered = {"remembered": kept.facts} if kept is not None else {}
            return Outcome(
                job, found.exit_code, notes=notes, report=_json(decryption_as_json(found, name) | remembered)
            )
        if found.exit_code:
            notes = (*decryption_card(found, name), "", *notes)
        elif not found.is_authenticated and found.signature is None:
            notes = (f"{name}: {headline(found)}", *notes)
        return Outcome(job, found.exit_code, notes=notes)


def _verified_login(access: Access) -> tuple[dict[str, object], bytes]:
    """What a worker needs to log in as we would, and a PIN that was tried here, once.

    Raises:
        AmbiguousError: several tokens fit.
        TokenError, PinError: from the token; then no worker may try.
        UsageError: a key wants its PIN for every message.
    """
    prompter = RememberingPrompter(access.prompter())
    with access.session(prompter=prompter) as session:
        session.login("to decrypt")
        keys = [key for key in read_objects(session).keys if key.can_decrypt and key.private_seen]
        if any(key.always_authenticate for key in keys):
            # Each worker would try the PIN for its first message: one that is wrong for the key locks the token.
            msg = f"a key on {session.name} wants its PIN for every message: several processes would each try it"
            raise UsageError(msg, hint="leave --workers out")
        return {"token": str(session.token.info.uri), "module": session.token.info.module}, prompter.octets


def _plain(options: VerifyOptions) -> dict[str, object]:
    """The options as JSON has them."""
    values = asdict(options)
    return values | {
        "ca_files": list(map(str, options.ca_files)),
        "crl_files": list(map(str, options.crl_files)),
        "revocation": options.revocation.value,
        "at": options.at and options.at.isoformat(),
    }


def _options(values: dict[str, Any]) -> VerifyOptions:
    return VerifyOptions(
        **values
        | {
            "ca_files": tuple(map(Path, values["ca_files"])),
            "crl_files": tuple(map(Path, values["crl_files"])),
            "revocation": RevocationMode(values["revocation"]),
            "at": values["at"] and datetime.fromisoformat(values["at"]),
        }
    )


def _json(fields: dict[str, object]) -> str:
    return ui.json_text("decrypt/1", **fields)


def _told(outcomes: Iterable[Outcome], progress: ui.Progress) -> Iterator[Outcome]:
    """The same, each told when it comes."""
    for outcome in outcomes:
        if outcome.report or outcome.notes or outcome.error:
            progress.pause()
        if outcome.report:
            ui.out(outcome.report)
        if outcome.notes:
            ui.note(*outcome.notes)
        if outcome.error:
            name = str(outcome.job.message)
            text = f"{'' if name in outcome.error else name + ': '}{outcome.error}"
            ui.error(text, outcome.hint, outcome.details)
        progress.step()
        yield outcome


def _report(outcomes: Iterable[Outcome], total: int) -> int:
    """Say how many there were; the worst exit code is returned."""
    worst = failed = 0
    for outcome in outcomes:
        worst = max(worst, outcome.exit_code)
        failed += bool(outcome.error)
    if failed or (sys.stderr is not None and sys.stderr.isatty()):
        ui.note(f"{total - failed} of {total} decrypted" + (f", {failed} failed" if failed else ""))
    return worst
