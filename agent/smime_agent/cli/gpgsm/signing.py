"""A signature over standard input or a file, by a key on a token."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from smime_agent.cli.gpgsm.identity import digest_number, fingerprint, key_name, public_key_number, timestamp
from smime_agent.cli.gpgsm.status import escaped, signer_reason
from smime_agent.errors import SmimeAgentError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smime_agent.api.signing import Signed
    from smime_agent.cli.gpgsm.arguments import Request
    from smime_agent.cli.gpgsm.status import StatusLines

#: What gpgsm writes, and the only label by which git knows a signature of this kind.
_LABEL: Final = "SIGNED MESSAGE"


def sign(request: Request, status: StatusLines) -> None:
    """Sign, and write the signature to standard output or the file that was named.

    Raises:
        SmimeAgentError: what :func:`.api.signing.sign` raises, and ``UsageError``.
    """
    if len(request.files) > 1:
        msg = f"one content is signed, and there are {len(request.files)} files"
        raise UsageError(msg)
    at = datetime.now(UTC)
    try:
        signed = _signed(request, status, at)
    except SmimeAgentError as error:
        reason = signer_reason(error)
        if reason is not None:
            status.write("INV_SGNR", reason, escaped(request.key or ""))
        raise
    scheme = signed.signer.scheme
    status.write(
        "SIG_CREATED",
        "D" if request.detached else "S",
        public_key_number(scheme.algorithm.value),
        digest_number(scheme.digest.value),
        "00",
        timestamp(at),
        fingerprint(signed.signer.identity.certificate.encoded),
    )


def _signed(request: Request, status: StatusLines, at: datetime) -> Signed:
    """What was signed and written."""
    from smime_agent.api import signing
    from smime_agent.cli.access import Access
    from smime_agent.cli.output import check_output, open_source, write_result

    key = key_name(request.key) if request.key else None
    access = Access.of(None, None, key=key)
    options = signing.SignOptions(signing.Format.DER, opaque=not request.detached, key=key or access.config.key)
    output = Path(request.output) if request.output not in (None, "-") else None
    check_output(output, binary=not request.armor)
    with open_source(Path(request.files[0]) if request.files else None) as content, access.open() as token:
        # git before 2.43 finds SIG_CREATED only behind the end of another line.
        status.write("BEGIN_SIGNING")
        signed = signing.sign_prepared(content, token, options, at=at)
        write_result(_armored(signed.chunks) if request.armor else signed.chunks, output)
    return signed


def _armored(chunks: Iterable[bytes]) -> Iterable[bytes]:
    from smime_agent.pem import armor

    return armor(chunks, _LABEL)
