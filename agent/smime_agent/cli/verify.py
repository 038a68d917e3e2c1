"""``smime-agent verify``."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli import ui
from smime_agent.cli.findings import as_json, card
from smime_agent.cli.messages import expanded
from smime_agent.cli.output import check_output, open_source, refuse_same_file, write_result
from smime_agent.config import load_config
from smime_agent.errors import FileError, SmimeAgentError, UsageError
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from smime_agent.smime.verification import Verification

app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command()
def verify(
    messages: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[MESSAGE]...", help="Mails or CMS objects, folders of them, Maildirs; else standard input."
        ),
    ] = None,
    content: Annotated[
        Path | None, typer.Option("--content", metavar="FILE", help="What a bare detached signature is over.")
    ] = None,
    ca_files: Annotated[
        list[Path] | None,
        typer.Option("--ca-file", metavar="PEM", help="Trust these CAs too, beside those that NSS trusts for mail."),
    ] = None,
    crls: Annotated[
        list[Path] | None, typer.Option("--crl", metavar="FILE", help="A CRL that is at hand, in PEM or DER.")
    ] = None,
    revocation: Annotated[
        RevocationMode,
        typer.Option("--revocation", help="prefer asks and goes on without an answer, require does not."),
    ] = RevocationMode.PREFER,
    offline: Annotated[bool, typer.Option("--offline", help="Ask no server; use what was kept.")] = False,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="TIME", help="Judge certificates as of this time, such as 2026-06-01T00:00:00Z."),
    ] = None,
    expected_sender: Annotated[
        str | None, typer.Option("--from", metavar="ADDRESS", help="Who should have signed; it must be the sender.")
    ] = None,
    legacy: Annotated[
        bool, typer.Option("--legacy", help="Check signatures by SHA-1 and other old algorithms too; none is trusted.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write exactly what was signed, if it was.")
    ] = None,
) -> None:
    """Tell who signed a mail, and whether that is who the mail says.

    The exit code is 0 if the sender signed exactly what is shown and can be trusted, 3 if nobody signed it, 4 if
    somebody else did, 5 if the certificate cannot be trusted, 6 if the signature or the message is broken.
    """
    paths = list(expanded(messages or []))
    if messages and not paths:
        msg = "there is no message in that folder"
        raise UsageError(msg)
    if len(paths) > 1 and (output is not None or content is not None):
        msg = f"{'-o' if output is not None else '--content'} is for one message, and there are {len(paths)}"
        raise UsageError(msg)
    options = VerifyOptions(
        ca_files=(*map(Path, load_config().ca_files), *(ca_files or ())),
        crl_files=tuple(crls or ()),
        revocation=revocation,
        offline=offline,
        at=_time(at),
        legacy=legacy,
    )
    verifier = Verifier(options, on_fetch=_tell_host)
    if len(paths) > 1:
        raise typer.Exit(_verify_many(verifier, paths, expected_sender, json=json))
    path = paths[0] if paths else None
    raise typer.Exit(_verify_one(verifier, path, content, expected_sender, output, legacy=legacy, json=json))


def _verify_one(
    verifier: Verifier,
    path: Path | None,
    content: Path | None,
    expected_sender: str | None,
    output: Path | None,
    *,
    legacy: bool,
    json: bool,
) -> int:
    to_stdout = output is not None and str(output) == "-"
    if to_stdout and json:
        msg = "the JSON goes to standard output, so what was signed cannot"
        raise UsageError(msg, hint="name a file with -o")
    target = None if to_stdout else output
    if output is not None:
        check_output(target)
        for given in filter(None, (path or Path("/dev/stdin"), content)):
            if target is not None:
                refuse_same_file(given, target)
    with (
        open_source(path) as source,
        verifier.opened(source, content=content, expected_sender=expected_sender) as found,
    ):
        if output is not None:
            signed = found.signed_content(legacy=legacy)
            if signed is not None:
                write_result(signed(), target)
            else:
                ui.warning("nothing is written: there is no valid signature over it")
    _show(found, None if path is None or str(path) == "-" else path, json=json, named=False, to_stderr=to_stdout)
    return found.verdict.exit_code


def _verify_many(verifier: Verifier, paths: Sequence[Path], expected_sender: str | None, *, json: bool) -> int:
    """Each in order; the worst exit code is returned."""
    worst = 0
    counts = dict.fromkeys(Verdict, 0)
    with ui.Progress(len(paths), "verifying") as progress:
        for path in paths:
            try:
                with open_source(path) as source:
                    found = verifier.verify(source, expected_sender=expected_sender)
            except (FileError, UsageError) as error:
                _tell_failure(path, error)
                worst = max(worst, error.exit_code)
            else:
                worst = max(worst, found.verdict.exit_code)
                counts[found.verdict] += 1
                progress.pause()
                _show(found, path, json=json, named=True)
            progress.step()
    if sys.stderr is not None and sys.stderr.isatty():
        ui.note(", ".join(f"{count} {verdict.value}" for verdict, count in counts.items() if count))
    return worst


def _tell_failure(path: Path, error: SmimeAgentError) -> None:
    name = str(path)
    ui.note(f"smime-agent: error: {'' if name in str(error) else name + ': '}{error}")


def _show(found: Verification, path: Path | None, *, json: bool, named: bool, to_stderr: bool = False) -> None:
    name = str(path) if path is not None else None
    if json:
        ui.json_line("verify/1", **as_json(found, name))
        return
    lines = card(found, name if named else None)
    if to_stderr:
        ui.note(*lines)
    else:
        ui.out(*lines)


def _tell_host(host: str) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        ui.note(f"asking {host} about revocation ...")


def _time(text: str | None) -> datetime | None:
    """A time as RFC 3339 writes it.

    Raises:
        UsageError: it is none.
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        msg = f"--at takes a time such as 2026-06-01T00:00:00Z, not '{text}'"
        raise UsageError(msg)
    return moment.astimezone(UTC)
