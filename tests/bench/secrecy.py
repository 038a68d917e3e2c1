"""What it costs to encrypt and to decrypt: mails of 10 kB in bulk, and one that is huge."""

from __future__ import annotations

import os
import sys
from contextlib import closing
from datetime import UTC, datetime
from statistics import median
from typing import TYPE_CHECKING, Final

from smime_agent.algorithms import KeyType, KeyUsage
from smime_agent.api.decrypting import Decryptor
from smime_agent.api.encrypting import Addressing, EncryptOptions, Encryptor, read_certificates
from smime_agent.api.verifying import Verifier, VerifyOptions
from smime_agent.keyring.decrypting import DecryptionKeyring
from smime_agent.keyring.opened import TokenDoor
from smime_agent.tokens import module as modules
from smime_agent.tokens.objects import read_objects
from smime_agent.tokens.token import Search
from smime_agent.trust.evidence import RevocationMode
from tests.bench import bare_decrypt, bare_loop, measure, strangers
from tests.bench.row import MIB, Better, Row
from tests.bench.setting import mail, smime_agent
from tests.bench.verifying import settle, write_large
from tests.support.ca import Wanted
from tests.support.softhsm import MODULE, KnownPin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.bench.row import Size
    from tests.bench.setting import Setting

_ADDRESS: Final = "dora@example.org"
_DORA: Final = Wanted((_ADDRESS,), "Dora", key_encipherment=True)
_SENDER: Final = "alice@example.org"
_ROUNDS: Final = 3
_UNTRUSTED: Final = VerifyOptions(system_roots=False, revocation=RevocationMode.OFF)


def rows(setting: Setting, size: Size) -> Iterator[Row]:
    """Every comparison, as soon as it is measured."""
    small = _Small(setting, KeyType.RSA_2048, 2048, size.verified_mails)
    yield from small.rows(size.rounds)
    yield from small.rows_of_commands(size.rounds)
    yield from _Small(setting, KeyType.RSA_4096, 4096, size.verified_mails // 4).rows(size.rounds)
    yield from _large_mail(setting, size)


def _encryptor(setting: Setting) -> Encryptor:
    anchor = setting.folder / "anchor.pem"
    anchor.write_bytes((setting.authority.parent or setting.authority).pem + setting.authority.pem)
    return Encryptor(
        EncryptOptions(to_self=False, ca_files=(anchor,), system_roots=False, revocation=RevocationMode.OFF)
    )


class _Small:
    """Mails of 10 kB for an RSA key on the token."""

    def __init__(self, setting: Setting, key_type: KeyType, bits: int, count: int) -> None:
        key = setting.token.enrol(setting.authority, key_type, _DORA, KeyUsage.DECRYPT)
        certificate = setting.folder / f"dora-{bits}.pem"
        with setting.token.session() as session:
            certificate.write_bytes(read_objects(session).certificates_of(key)[0].certificate.pem)
        self._setting, self._bits, self._count = setting, bits, count
        self._encryptor = _encryptor(setting)
        self._to_dora = Addressing((_ADDRESS,), certificates=read_certificates([certificate]))
        self._mails = [self._encryptor.encrypt(mail(_SENDER, number), self._to_dora)[0] for number in range(count)]
        self._what = f"{count:,} mails, RSA-{bits}"

    def rows(self, rounds: int) -> Iterator[Row]:
        """The library in this process against C_Decrypt alone, and what encrypting takes."""
        keys = DecryptionKeyring(
            Search(bare_loop.TOKEN, MODULE), TokenDoor.asking(KnownPin()), today=datetime.now(UTC).date()
        )
        with closing(keys):
            decryptor = Decryptor(keys, Verifier(_UNTRUSTED))
            self._open_all(decryptor)  # logs in
            session = modules.load(MODULE).library.get_token(token_label=bare_loop.TOKEN).open()
            bare = bare_decrypt.BareDecrypt(session, self._count, self._bits)
            seconds = measure.in_turns(
                {
                    "bare": lambda: measure.timed(bare),
                    "library": lambda: measure.timed(lambda: self._open_all(decryptor)),
                    "encrypt": lambda: measure.timed(self._encrypt_all),
                },
                rounds,
            )
            session.close()
        yield self._rate(seconds, "library", "bare", "decrypted by the library", 0.85)
        each = median(seconds["encrypt"]) * 1000 / self._count
        peer = f"{self._count / median(seconds['bare']):,.0f} C_Decrypt/s"
        yield Row(
            f"{self._what}, encrypted by the library, each", f"{each:.2f} ms", peer, each, None, Better.LESS, " ms"
        )

    def rows_of_commands(self, rounds: int) -> Iterator[Row]:
        """``decrypt --output-dir``, in one process and in two, against the script."""
        folder = self._setting.folder / "encrypted"
        folder.mkdir()
        for number, encrypted in enumerate(self._mails):
            (folder / f"{number:05}.eml").write_bytes(encrypted)
        command = _decrypt(folder, "--output-dir", self._setting.folder / "opened")
        script = (sys.executable, bare_decrypt.__file__, MODULE, str(self._count), str(self._bits))
        seconds = measure.in_turns(
            {
                "script": lambda: measure.run(script).seconds,
                "one": lambda: measure.run(command).seconds,
                "two": lambda: measure.run((*command, "--workers", "2")).seconds,
            },
            rounds,
        )
        yield self._rate(seconds, "one", "script", "through `decrypt --output-dir`, start included", None)
        yield self._rate(seconds, "two", "script", "the same with `--workers 2`", None)

    def _rate(self, seconds: dict[str, list[float]], ours: str, peer: str, label: str, target: float | None) -> Row:
        rate = {rival: f"{self._count / median(times):,.0f}" for rival, times in seconds.items()}
        ratio = measure.median_ratio(seconds[peer], seconds[ours])
        return Row(f"{self._what}, {label}", f"{rate[ours]} mails/s", f"{rate[peer]} C_Decrypt/s", ratio, target)

    def _open_all(self, decryptor: Decryptor) -> None:
        for encrypted in self._mails:
            with decryptor.opened(encrypted) as found:
                b"".join(found.content())

    def _encrypt_all(self) -> None:
        for number in range(self._count):
            self._encryptor.encrypt(mail(_SENDER, number), self._to_dora)


def _decrypt(*arguments: str | Path) -> tuple[str | Path, ...]:
    options = ("--token", bare_loop.TOKEN, "--pin-source", "env:PIN", "--revocation", "off")
    return (smime_agent(), "decrypt", *options, *arguments)


def _large_mail(setting: Setting, size: Size) -> Iterator[Row]:
    """Time and memory of a huge mail, by both in AES-256-CBC and by us in AES-256-GCM too."""
    key, certificate = setting.soft_key(_DORA)
    plain, root = setting.folder / "large.eml", setting.folder / "anchor.pem"
    write_large(plain, _SENDER, size.large_octets)
    ours, theirs, opened = (setting.folder / name for name in ("ours.eml", "theirs.eml", "opened.eml"))
    trust = ("--ca-file", root, "--revocation", "off", "--no-self", "--to", _ADDRESS, "--cert", certificate)
    encrypt = (smime_agent(), "encrypt", *trust, "--cipher")
    what = f"{size.large_octets // 1_000_000:,} MB"
    yield from _compared(
        f"{what}, encrypt",
        0.5,
        {
            "AES-256-CBC": lambda: measure.run((*encrypt, "aes256-cbc", plain, "-o", ours)),
            "AES-256-GCM": lambda: measure.run((*encrypt, "aes256-gcm", plain, "-o", ours)),
        },
        ("openssl cms -encrypt -stream", lambda: strangers.openssl_encrypt(plain, certificate, theirs)),
    )
    plain.unlink()
    yield from _opened_large(setting, what, (key, certificate), (ours, theirs), opened)


def _opened_large(
    setting: Setting, what: str, pair: tuple[Path, Path], mails: tuple[Path, Path], opened: Path
) -> Iterator[Row]:
    """The same, decrypted: theirs by a key in a file, ours by a key on the token."""
    on_token = setting.folder / "dora-2048.pem"
    gcm, cbc = mails
    for path, cipher in ((gcm, "-aes-256-gcm"), (cbc, "-aes256")):
        plain = setting.folder / "again.eml"
        write_large(plain, _SENDER, path.stat().st_size * 3 // 4)
        strangers.openssl_encrypt(plain, on_token, path, pair[1], cipher=cipher)
        plain.unlink()
        settle(path)
    yield from _compared(
        f"{what}, decrypt",
        0.25,
        {
            "AES-256-CBC": lambda: measure.run(_decrypt(cbc, "-o", opened)),
            "AES-256-GCM": lambda: measure.run(_decrypt(gcm, "-o", opened)),
        },
        ("openssl cms -decrypt", lambda: strangers.openssl_decrypt(cbc, pair, opened)),
    )
    for path in (gcm, cbc, opened):
        path.unlink()


def _compared(
    what: str,
    target: float,
    ours: dict[str, Callable[[], measure.Ran]],
    theirs: tuple[str, Callable[[], measure.Ran]],
) -> Iterator[Row]:
    """Our ways against the stranger's one, in time and memory."""
    name, stranger = theirs
    rivals = {**ours, name: stranger}
    ran: dict[str, list[measure.Ran]] = {rival: [] for rival in rivals}

    def once(rival: str) -> float:
        os.sync()  # what the one before left to be written is not for this one to wait for
        ran[rival].append(rivals[rival]())
        return ran[rival][-1].seconds

    seconds = measure.in_turns({rival: lambda rival=rival: once(rival) for rival in rivals}, _ROUNDS)  # type: ignore[misc]
    peak = {rival: max(one.peak_kib for one in runs) * 1024 / MIB for rival, runs in ran.items()}
    for rival in ours:
        texts = [f"{median(seconds[one]):.2f} s" for one in (rival, name)]
        ratio = measure.median_ratio(seconds[rival], seconds[name])
        yield Row(f"{what}, {rival}, time", texts[0], f"{texts[1]}, `{name}`", ratio, target, Better.LESS)
        peer = f"{peak[name]:.0f} MiB, `{name}`"
        memory = peak[rival]
        yield Row(f"{what}, {rival}, memory", f"{memory:.0f} MiB", peer, memory, 100, Better.LESS, " MiB")
