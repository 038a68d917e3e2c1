"""What was found out about a message, as JSON: the fields that docs/json.md describes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from smime_agent.smime.verification import LayerType

if TYPE_CHECKING:
    from collections.abc import Iterable

    from smime_agent.errors import SmimeAgentError
    from smime_agent.smime.decrypt import Decryption
    from smime_agent.smime.verification import Encryption, Layer, Signer, Verification
    from smime_agent.verdict import Reason


def as_json(verification: Verification, file: str | None) -> dict[str, Any]:
    """The fields of ``smime-agent.verify/1``."""
    return {
        "file": file,
        "verdict": verification.verdict.value,
        "reasons": _reasons(verification.reasons),
        "notes": _reasons(verification.notes),
        "from": list(verification.senders),
        "layers": [_layer(layer) for layer in verification.layers],
        "signers": [
            _signer(signer, number) for number, layer in enumerate(verification.layers) for signer in layer.signers
        ],
    }


def decryption_as_json(decryption: Decryption, file: str | None) -> dict[str, Any]:
    """The fields of ``smime-agent.decrypt/1`` of what was decrypted."""
    verification, signature = decryption.verification, decryption.signature
    encryptions = decryption.encryptions
    return {
        "file": file,
        "decrypted": True,
        "partial": decryption.is_partial,
        "authenticated": decryption.is_authenticated,
        "layers": [_layer(layer) for layer in verification.layers],
        "recipient": _recipient(encryptions[0]) if encryptions else None,
        "signature": None if signature is None else as_json(signature, file),
        "reasons": _reasons(decryption.reasons),
        "notes": _reasons(verification.notes),
    }


def failure_as_json(error: SmimeAgentError, file: str | None) -> dict[str, Any]:
    """The same of what was not."""
    parts = list(getattr(error, "parts", ()))
    return {
        "file": file,
        "decrypted": False,
        "partial": bool(parts),
        "parts": parts,
        "authenticated": False,
        "layers": [],
        "recipient": None,
        "signature": None,
        "reasons": [{"code": error.code, "text": str(error)}],
        "notes": [],
    }


def _recipient(encryption: Encryption) -> dict[str, Any]:
    certificate = encryption.certificate
    return {
        "subject": certificate.subject if certificate else None,
        "issuer": certificate.issuer if certificate else None,
        "serial": f"{certificate.serial_number:x}" if certificate else None,
        "sha256": certificate.fingerprint.hex() if certificate else None,
        "mailboxes": list(certificate.mailboxes) if certificate else [],
        "key": encryption.key,
        "algorithm": encryption.key_algorithm,
    }


def _encryption(encryption: Encryption) -> dict[str, Any]:
    return {
        "algorithm": encryption.algorithm,
        "authenticated": encryption.is_authenticated,
        "recipients": encryption.recipients,
        "recipient": _recipient(encryption),
    }


def _reasons(reasons: Iterable[Reason]) -> list[dict[str, str]]:
    return [{"code": reason.code.value, "text": reason.text} for reason in reasons]


def _layer(layer: Layer) -> dict[str, Any]:
    return {
        "type": layer.type.value,
        "form": layer.form,
        "verdict": layer.verdict.value if layer.type is LayerType.SIGNED else None,
        "encryption": _encryption(layer.encryption) if layer.encryption is not None else None,
        "reasons": _reasons(layer.reasons),
        "notes": _reasons(layer.notes),
    }


def _signer(signer: Signer, layer: int) -> dict[str, Any]:
    certificate = signer.certificate
    return {
        "layer": layer,
        "named": signer.named,
        "subject": certificate.subject if certificate else None,
        "issuer": certificate.issuer if certificate else None,
        "serial": f"{certificate.serial_number:x}" if certificate else None,
        "sha256": certificate.fingerprint.hex() if certificate else None,
        "mailboxes": list(certificate.mailboxes) if certificate else [],
        "validation": signer.validation,
        "algorithm": signer.algorithm or None,
        "claimed_at": f"{signer.claimed_at:%Y-%m-%dT%H:%M:%SZ}" if signer.claimed_at else None,
        "chain": [above.subject for above in signer.chain],
        "revocation": signer.revocation,
        "verdict": signer.verdict.value,
        "reasons": _reasons(signer.reasons),
        "notes": _reasons(signer.notes),
    }
