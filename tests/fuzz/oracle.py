"""Who says whether a mail that was changed may still be trusted, and the whole of ``verify`` and ``inspect``.

A mail is trusted only if an honest seed has the same signature over the same octets, and was from the same people, as
the standard library reads them, which shares nothing with our reader.
"""

from __future__ import annotations

import email
import email.policy
import email.utils
import hashlib
import json
import re
import unicodedata
from typing import TYPE_CHECKING, Final

from smime_agent import mime
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.cli.inspect import as_json, lines
from smime_agent.cli.ui import printable
from smime_agent.cms import SignedData
from smime_agent.smime.inspect import inspect
from smime_agent.source import Source
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

_FROM: Final = re.compile(rb"^from[ \t]*:((?:.*\n?)(?:[ \t].*\n?)*)", re.IGNORECASE | re.MULTILINE)
_STEERING: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ADDRESS: Final = re.compile(r"[^\s<>\"(),:;@\\]+@[^\s<>\"(),:;@\\]+")


class Oracle:
    """``Verifier.verify`` on a mail: nothing is raised, and what is trusted was signed by an honest signer."""

    def __init__(self, seeds: Path) -> None:
        """Learn from the seeds what may be trusted."""
        self._verifier = _verifier(seeds)
        self._facts: dict[tuple[bytes, bytes], set[str]] = {}
        for path in sorted((seeds / "mail").glob("*")):
            data = path.read_bytes()
            if path.name.startswith("honest"):
                for signed in self._signed(data, Verdict.TRUSTED):
                    self._facts.setdefault(signed, set()).update(senders_of(data))
            # Who signs for another is to be trusted when speaking for himself.
            mismatched = self._signed(data, Verdict.MISMATCH)
            for signed, addresses in mismatched.items() if len(mismatched) == 1 else ():
                self._facts.setdefault(signed, set()).update(addresses)

    def __call__(self, data: bytes) -> None:
        """Verify a mail."""
        senders = senders_of(data)
        if not senders:  # bare CMS, which anybody may sign who is somebody: it does not say who sent it
            self._verifier.verify(data)
            return
        for signed in self._signed(data, Verdict.TRUSTED):
            assert signed in self._facts, "trusted, and nobody signed it"
            assert senders <= self._facts[signed], "trusted, and from somebody else"

    def _signed(self, data: bytes, verdict: Verdict) -> dict[tuple[bytes, bytes], set[str]]:
        """The digest of what is signed and each signature, and whose they are, if the mail has that verdict."""
        with self._verifier.opened(data) as verification:
            if verification.verdict is not verdict:
                return {}
            content = verification.signed_content()
            assert content is not None or verdict is not Verdict.TRUSTED, "trusted, and nothing is signed"
            if content is None:
                return {}
            digest = hashlib.sha256()
            for chunk in content():
                digest.update(chunk)
            certificates = [signer.certificate for signer in verification.layers[0].signers]
            addresses = {address.casefold() for one in certificates if one is not None for address in one.mailboxes}
            signatures = _signatures(data)
            assert signatures, "trusted, and not signed"
            return {(digest.digest(), signature): addresses for signature in signatures}


class Inspector:
    """``inspect`` on a mail: nothing is raised, and what comes out can be printed."""

    def __init__(self, seeds: Path) -> None:
        """Nothing has to be learnt."""

    def __call__(self, data: bytes) -> None:
        """Look into it."""
        root = inspect(Source.from_bytes(data))
        json.dumps(as_json(root)).encode()
        text = "".join(map(printable, lines(root)))
        assert not any(unicodedata.category(letter) in _STEERING for letter in text), "it steers a terminal"


def _verifier(seeds: Path) -> Verifier:
    # Nobody may be asked about revocation here.
    return Verifier(
        VerifyOptions(ca_files=(seeds / "root.pem",), system_roots=False, revocation=RevocationMode.OFF, offline=True)
    )


def _signatures(data: bytes) -> set[bytes]:
    """The signatures of the outermost layer of a mail that was verified."""
    source = Source.from_bytes(data)
    form = mime.recognise(source)
    if form is mime.Form.DER:
        cms = source
    elif form is not mime.Form.MAIL:
        cms = mime.cms_of_pem(source)
    else:
        part = mime.read_mail(source)
        clear = mime.layer_of(part) is mime.LayerKind.CLEAR_SIGNED
        cms = mime.clear_signed(part).signature.decode_to_source()[0] if clear else mime.cms_of(part)[0]
    return {info.signature for info in SignedData.read(cms).signer_infos}


def senders_of(data: bytes) -> set[str]:
    """All addresses in all From fields, as strangers read them: by the standard library, and by no grammar at all."""
    if data.startswith(b"From ") and not data[5:].lstrip().startswith(b":"):
        data = data.partition(b"\n")[2]
    head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
    texts = [b" ".join(value.split()).decode("utf-8", "replace") for value in _FROM.findall(head)]
    message = email.message_from_bytes(data)
    texts += [" ".join(str(value).split()) for value in message.get_all("From", [])]
    addresses = {address for _, address in email.utils.getaddresses(texts, strict=False)}
    addresses.update(match for text in texts for match in _ADDRESS.findall(text))
    return {address.casefold() for address in addresses if "@" in address}
