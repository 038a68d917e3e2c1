"""What it costs to verify: mails of 10 kB, one that is huge, one that was streamed, and a long CRL."""

from __future__ import annotations

import itertools
import os
import sys
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.certificates.chains import store_chain_certificate
from smime_agent.config import data_directory
from smime_agent.trust.evidence import RevocationMode
from smime_agent.verdict import Verdict
from smime_agent.x509 import load_certificates
from tests.bench import bare_loop, bare_verify, measure, strangers
from tests.bench.row import MIB, Better, Row
from tests.bench.setting import RSA_ADDRESS, mail, smime_agent
from tests.support.ca import Wanted
from tests.support.revocation_servers import WebServer, crl, crl_pointer, sends

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.row import Size
    from tests.bench.setting import Setting

_ADDRESS: Final = "dora@example.org"
_SIGN: Final = ("sign", "--token", bare_loop.TOKEN, "--pin-source", "env:PIN", "--key", RSA_ADDRESS)
_ROUNDS: Final = 3


def rows(setting: Setting, size: Size) -> Iterator[Row]:
    """Every comparison, as soon as it is measured."""
    root = setting.folder / "anchor.pem"
    root.write_bytes((setting.authority.parent or setting.authority).pem)
    # What is signed from here on carries the issuing CA too.
    store_chain_certificate(data_directory(), load_certificates(setting.authority.pem)[0])
    yield from _small_mails(setting, size, root)
    yield from _large_mail(setting, size, root)
    yield from _streamed_mail(setting, size, root)
    yield from _long_list(setting, size, root)


def _verifier(root: Path, **options: object) -> Verifier:
    given = {"revocation": RevocationMode.OFF, **options}
    return Verifier(VerifyOptions(ca_files=(root,), system_roots=False, **given))  # type: ignore[arg-type]  # its fields


def _see(verifier: Verifier, signed: bytes) -> None:
    """Verify a mail, which has to be trusted."""
    verification = verifier.verify(signed)
    if verification.verdict is not Verdict.TRUSTED:
        msg = f"a mail is not trusted: {'; '.join(reason.text for reason in verification.reasons)}"
        raise measure.BenchError(msg)


def _small_mails(setting: Setting, size: Size, root: Path) -> Iterator[Row]:
    """Mails of 10 kB, through the library and through the command."""
    plain = setting.mails("to verify", RSA_ADDRESS, size.verified_mails)
    folder = setting.folder / "signed"
    measure.run((smime_agent(), *_SIGN, plain, "--output-dir", folder))
    mails = [path.read_bytes() for path in sorted(folder.iterdir())]
    key = setting.folder / "bare.pem"
    key.write_bytes(_public_key(mails[0]))
    bare = bare_verify.BareVerify(key.read_bytes(), mails)
    verifier = _verifier(root)

    def library() -> None:
        for signed in mails:
            _see(verifier, signed)

    verify = (smime_agent(), "verify", "--ca-file", root, "--revocation", "off")
    script = (sys.executable, bare_verify.__file__, key)
    seconds = measure.in_turns(
        {
            "bare": lambda: measure.timed(bare),
            "library": lambda: measure.timed(library),
            "script": lambda: measure.run((*script, folder)).seconds,
            "command": lambda: measure.run((*verify, folder)).seconds,
        },
        size.rounds,
    )
    count = f"{size.verified_mails:,} mails, RSA-2048"
    each = {rival: median(times) * 1000 / size.verified_mails for rival, times in seconds.items()}
    rate = {rival: f"{size.verified_mails / median(times):,.0f}" for rival, times in seconds.items()}
    ratio = measure.median_ratio(seconds["bare"], seconds["library"])
    yield Row(
        f"{count}, warm, verified by the library, each",
        f"{each['library']:.2f} ms", f"{each['bare']:.2f} ms, `RSA verify` and SHA-256 alone", each["library"], 0.5,
        Better.LESS, " ms",
    )  # fmt: skip
    yield Row(f"{count}, verified by the library", f"{rate['library']} mails/s", f"{rate['bare']} RSA verify/s", ratio)
    ratio = measure.median_ratio(seconds["script"], seconds["command"])
    yield Row(
        f"{count}, through `verify FOLDER`, start included",
        f"{rate['command']} mails/s", f"{rate['script']} RSA verify/s", ratio,
    )  # fmt: skip


def _public_key(signed: bytes) -> bytes:
    """The key of the signer of a mail, in PEM."""
    verification = Verifier(VerifyOptions(system_roots=False, revocation=RevocationMode.OFF)).verify(signed)
    certificate = verification.signers[0].certificate
    assert certificate is not None
    key = x509.load_der_x509_certificate(certificate.encoded).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _large_mail(setting: Setting, size: Size, root: Path) -> Iterator[Row]:
    """Time and memory of a clear-signed mail with a large attachment."""
    plain, signed = setting.folder / "large.eml", setting.folder / "large.signed.eml"
    write_large(plain, RSA_ADDRESS, size.large_octets)
    measure.run((smime_agent(), *_SIGN, plain, "-o", signed))
    plain.unlink()
    yield from _against_openssl(f"{size.large_octets // 1_000_000:,} MB, clear-signed", signed, root, 1.2, 100)
    signed.unlink()


def _streamed_mail(setting: Setting, size: Size, root: Path) -> Iterator[Row]:
    """Time and memory of an opaque mail that was written as it came: BER, in pieces."""
    key, certificate = setting.soft_key()
    plain, signed = setting.folder / "stream.eml", setting.folder / "stream.signed.eml"
    write_large(plain, "carol@example.org", size.streamed_octets * 3 // 4)
    chain = setting.folder / "chain.pem"
    chain.write_bytes(setting.authority.pem)
    options = ("-certfile", str(chain), "-nodetach", "-stream", "-binary")
    strangers.openssl_mail((key, certificate), plain, signed, "carol@example.org", *options)
    yield from _against_openssl(f"{signed.stat().st_size // 1_000_000} MB, streamed BER", signed, root, 1.0, 100)


def _against_openssl(what: str, signed: Path, root: Path, target: float, memory_target: float) -> Iterator[Row]:
    verify = (smime_agent(), "verify", "--ca-file", root, "--revocation", "off", signed)
    ran: dict[str, list[measure.Ran]] = {"ours": [], "openssl": []}

    def once(rival: str, call: Callable[[], measure.Ran]) -> float:
        ran[rival].append(call())
        return ran[rival][-1].seconds

    seconds = measure.in_turns(
        {
            "ours": lambda: once("ours", lambda: measure.run(verify)),
            "openssl": lambda: once("openssl", lambda: strangers.openssl_verify(signed, root)),
        },
        _ROUNDS,
    )
    texts = {rival: f"{median(times):.2f} s" for rival, times in seconds.items()}
    ratio = measure.median_ratio(seconds["ours"], seconds["openssl"])
    peer = f"{texts['openssl']}, `openssl cms -verify`"
    yield Row(f"{what}, verify, time", texts["ours"], peer, ratio, target, Better.LESS)
    peak, other = (max(one.peak_kib for one in runs) * 1024 / MIB for runs in ran.values())
    peer = f"{other:.0f} MiB, `openssl cms -verify`"
    yield Row(f"{what}, verify, memory", f"{peak:.0f} MiB", peer, peak, memory_target, Better.LESS, " MiB")


def write_large(path: Path, sender: str, octets: int) -> None:
    """A mail of text of about that many octets."""
    line = b"All work and no play makes Jack a dull boy, and a mail of such lines a large one.\r\n"
    block = line * (MIB // len(line))
    with path.open("wb") as file:
        file.write(b"From: %b\r\nTo: bob@example.net\r\nSubject: Large\r\nMIME-Version: 1.0\r\n" % sender.encode())
        file.write(b"Content-Type: text/plain; charset=us-ascii\r\n\r\n")
        file.writelines(itertools.repeat(block, max(octets // len(block), 1)))
    settle(path)


def settle(path: Path) -> None:
    """Have a file in the cache as one that came from elsewhere, not in the pieces in which it was written here."""
    with path.open("rb", buffering=0) as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while file.read(MIB):
            pass


def _long_list(setting: Setting, size: Size, root: Path) -> Iterator[Row]:
    """What a long CRL adds to verifying one mail, when it is on the disk."""
    authority = setting.authority.parent or setting.authority
    mails: dict[str, bytes] = {}
    os.environ["XDG_CACHE_HOME"] = str(setting.folder / "cache")
    with WebServer() as server:
        for name, entries in (("short", 1), ("long", size.crl_entries)):
            listed = crl(authority, range(1 << 120, (1 << 120) + entries))
            wanted = Wanted((_ADDRESS,), name, extra=(crl_pointer(server.serve(f"/{name}", sends(listed))),))
            key, certificate = setting.soft_key(wanted, authority)
            plain, signed = setting.folder / "plain.eml", setting.folder / "listed.eml"
            plain.write_bytes(mail(_ADDRESS, 0))
            strangers.openssl_mail((key, certificate), plain, signed, _ADDRESS)
            mails[name] = signed.read_bytes()
            _see(_verifier(root, revocation=RevocationMode.REQUIRE), mails[name])  # it fetches the CRL

    def once(name: str) -> float:
        verifier = _verifier(root, revocation=RevocationMode.REQUIRE, offline=True)  # it knows nothing yet
        return measure.timed(lambda: _see(verifier, mails[name]))

    seconds = measure.in_turns({name: partial(once, name) for name in mails}, size.rounds)
    long, short = (median(seconds[name]) * 1000 for name in ("long", "short"))
    yield Row(
        f"a cached CRL of {size.crl_entries:,} entries, on top of one of a single entry",
        f"{long:.1f} ms", f"{short:.1f} ms, with `a CRL of one entry`", max(long - short, 0), 50, Better.LESS, " ms",
    )  # fmt: skip
