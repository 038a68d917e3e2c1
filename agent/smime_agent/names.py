"""Object identifiers by name: the name that their standard gives them, for people. Nothing is decided by these.

What is not here is shown dotted.
"""

from __future__ import annotations

from typing import Final


def name_of(dotted: str) -> str:
    """The name of an object identifier, or itself where it has none here."""
    return _NAMES.get(dotted, dotted)


def _below(arc: str, names: str) -> dict[str, str]:
    """``names`` is ``1 first 2 second``, each the last arcs of an identifier below ``arc``, and its name."""
    words = names.split()
    return {f"{arc}.{last}": name.replace("~", " ") for last, name in zip(words[::2], words[1::2], strict=True)}


_PKCS: Final = "1.2.840.113549.1"
_SMIME: Final = f"{_PKCS}.9.16"
_X962: Final = "1.2.840.10045"
_CERTICOM: Final = "1.3.132"
_NIST: Final = "2.16.840.1.101.3.4"
_PKIX: Final = "1.3.6.1.5.5.7"
_MICROSOFT: Final = "1.3.6.1.4.1.311"
_TELETRUST: Final = "1.3.36"

_CONTENT_TYPES: Final = {
    # RFC 5652, 4 to 9, 14
    **_below(
        f"{_PKCS}.7",
        "1 data 2 SignedData 3 EnvelopedData 4 signedAndEnvelopedData 5 DigestedData 6 EncryptedData",
    ),
    # S/MIME and ESS, time-stamps, collections
    **_below(
        f"{_SMIME}.1",
        "1 receipt 2 AuthenticatedData 4 TSTInfo 6 ContentInfo 9 CompressedData 19 ContentCollection"
        " 20 ContentWithAttributes 23 AuthEnvelopedData 24 routeOriginAuthz 26 rpkiManifest 28 XML 31 EncryptedKeyPkg",
    ),
    **_below(f"{_MICROSOFT}", "2.1.4 spcIndirectData 10.1 certTrustList"),
    f"{_PKIX}.12.2": "PKIData",
    f"{_PKIX}.12.3": "PKIResponse",
}

_ATTRIBUTES: Final = {
    **_below(
        f"{_PKCS}.9",
        "1 emailAddress 2 unstructuredName 3 contentType 4 messageDigest 5 signingTime 6 countersignature"
        " 7 challengePassword 8 unstructuredAddress 14 extensionRequest 15 SMIMECapabilities 20 friendlyName"
        " 21 localKeyID 52 CMSAlgorithmProtection",
    ),
    # ESS, long-term signatures, time-stamps
    **_below(
        f"{_SMIME}.2",
        "1 receiptRequest 2 eSSSecurityLabel 3 mlExpansionHistory 4 contentHint 5 msgSigDigest 6 encapContentType"
        " 7 contentIdentifier 8 macValue 9 equivalentLabels 10 contentReference 11 SMIMEEncryptionKeyPreference"
        " 12 signingCertificate 13 smimeEncryptCerts 14 timeStampToken 15 sigPolicyId 16 commitmentType"
        " 17 signerLocation 18 signerAttr 19 otherSigCert 20 contentTimestamp 21 certificateRefs 22 revocationRefs"
        " 23 certValues 24 revocationValues 25 escTimeStamp 26 certCRLTimestamp 27 archiveTimeStamp"
        " 46 binarySigningTime 47 signingCertificateV2 48 archiveTimeStampV2",
    ),
    f"{_SMIME}.11.1": "preferBinaryInside",
    **_below(f"{_SMIME}.6", "1 proofOfOrigin 2 proofOfReceipt 3 proofOfDelivery 4 proofOfSender 5 proofOfApproval"),
    **_below(
        _MICROSOFT,
        "2.1.10 spcAgencyInfo 2.1.11 spcStatementType 2.1.12 spcSpOpusInfo 3.3.1 RFC3161~counterSignature"
        " 16.4 microsoftEncryptionKeyPreference 17.1 keyProviderName 17.2 localMachineKeyset 88.2.1 originalFilename",
    ),
    "1.2.840.113583.1.1.8": "adbe-revocationInfoArchival",
}

_DIGESTS: Final = {
    "1.2.840.113549.2.2": "MD2",
    "1.2.840.113549.2.4": "MD4",
    "1.2.840.113549.2.5": "MD5",
    "1.3.14.3.2.26": "SHA-1",
    **_below(
        f"{_NIST}.2",
        "1 SHA-256 2 SHA-384 3 SHA-512 4 SHA-224 5 SHA-512/224 6 SHA-512/256 7 SHA3-224 8 SHA3-256 9 SHA3-384"
        " 10 SHA3-512 11 SHAKE128 12 SHAKE256",
    ),
    **_below(_TELETRUST, "3.2.1 RIPEMD-160"),
    "1.2.643.7.1.1.2.2": "Streebog-256",
    "1.2.643.7.1.1.2.3": "Streebog-512",
    "1.2.156.10197.1.401": "SM3",
    "1.2.840.113549.2.7": "HMAC-SHA-1",
    **_below(
        "1.2.840.113549.2",
        "8 HMAC-SHA-224 9 HMAC-SHA-256 10 HMAC-SHA-384 11 HMAC-SHA-512",
    ),
    "1.3.6.1.5.5.8.1.2": "HMAC-SHA-1",
}

_RSA_SIGNATURE: Final = "RSASSA-PKCS1-v1_5 with"  # RFC 8017, 8.2
_SIGNATURES: Final = {
    **{
        f"{_PKCS}.1.{number}": f"{_RSA_SIGNATURE} {digest}"
        for number, digest in (
            (2, "MD2"),
            (4, "MD5"),
            (5, "SHA-1"),
            (11, "SHA-256"),
            (12, "SHA-384"),
            (13, "SHA-512"),
            (14, "SHA-224"),
        )
    },
    **{f"{_NIST}.3.{13 + place}": f"{_RSA_SIGNATURE} SHA3-{bits}" for place, bits in enumerate((224, 256, 384, 512))},
    "1.3.14.3.2.29": f"{_RSA_SIGNATURE} SHA-1",
    **_below(
        f"{_PKCS}.1",
        "1 RSA 7 RSAES-OAEP 8 MGF1 9 pSpecified 10 RSASSA-PSS",
    ),
    **_below("1.2.840.10040.4", "1 DSA 3 DSA~with~SHA-1"),
    **_below("1.3.14.3.2", "7 DES-CBC 12 DSA 27 DSA~with~SHA-1"),
    **_below(
        f"{_NIST}.3",
        "1 DSA~with~SHA-224 2 DSA~with~SHA-256 3 DSA~with~SHA-384 4 DSA~with~SHA-512 9 ECDSA~with~SHA3-224"
        " 10 ECDSA~with~SHA3-256 11 ECDSA~with~SHA3-384 12 ECDSA~with~SHA3-512 17 ML-DSA-44 18 ML-DSA-65 19 ML-DSA-87"
        " 20 SLH-DSA-SHA2-128s 21 SLH-DSA-SHA2-128f 22 SLH-DSA-SHA2-192s 23 SLH-DSA-SHA2-192f 24 SLH-DSA-SHA2-256s"
        " 25 SLH-DSA-SHA2-256f 26 SLH-DSA-SHAKE-128s 27 SLH-DSA-SHAKE-128f 28 SLH-DSA-SHAKE-192s"
        " 29 SLH-DSA-SHAKE-192f 30 SLH-DSA-SHAKE-256s 31 SLH-DSA-SHAKE-256f",
    ),
    **_below(
        _X962,
        "2.1 EC 4.1 ECDSA~with~SHA-1 4.3.1 ECDSA~with~SHA-224 4.3.2 ECDSA~with~SHA-256 4.3.3 ECDSA~with~SHA-384"
        " 4.3.4 ECDSA~with~SHA-512",
    ),
    **_below("1.3.101", "110 X25519 111 X448 112 Ed25519 113 Ed448"),
    **_below(f"{_PKIX}.6", "2 no~signature 30 RSASSA-PSS~with~SHAKE128 31 RSASSA-PSS~with~SHAKE256"),
    "0.4.0.127.0.7.1.1.4.1.3": "ECDSA with SHA-256 (plain)",
}

_CIPHERS: Final = {
    **_below(
        f"{_NIST}.1",
        "1 AES-128-ECB 2 AES-128-CBC 4 AES-128-CFB 5 AES-128-wrap 6 AES-128-GCM 7 AES-128-CCM 8 AES-128-wrap-pad"
        " 21 AES-192-ECB 22 AES-192-CBC 24 AES-192-CFB 25 AES-192-wrap 26 AES-192-GCM 27 AES-192-CCM"
        " 28 AES-192-wrap-pad 41 AES-256-ECB 42 AES-256-CBC 44 AES-256-CFB 45 AES-256-wrap 46 AES-256-GCM"
        " 47 AES-256-CCM 48 AES-256-wrap-pad",
    ),
    **_below("1.2.840.113549.3", "2 RC2-CBC 4 RC4 7 DES-EDE3-CBC 9 RC5-CBC"),
    **_below(
        f"{_SMIME}.3",
        "5 ESDH 6 3DES-wrap 7 RC2-wrap 8 zlib 9 PWRI-KEK 10 SSDH 13 RSA-KEM 14 RSA-KEM-KWS 18 ChaCha20-Poly1305"
        " 19 ECDH-HKDF-SHA256 20 ECDH-HKDF-SHA384 21 ECDH-HKDF-SHA512 28 HKDF-SHA256 29 HKDF-SHA384 30 HKDF-SHA512"
        " 31 CEK-HKDF-SHA256",
    ),
    f"{_SMIME}.13.3": "KEMRecipientInfo",  # RFC 9629, 3
    **_below(f"{_NIST}.4", "1 ML-KEM-512 2 ML-KEM-768 3 ML-KEM-1024"),
    **_below(f"{_PKCS}.5", "3 PBE-MD5-DES 12 PBKDF2 13 PBES2 14 PBMAC1"),
    **_below("1.2.392.200011.61.1.1.1", "2 Camellia-128-CBC 3 Camellia-192-CBC 4 Camellia-256-CBC"),
    **_below("1.2.392.200011.61.1.1.3", "2 Camellia-128-wrap 3 Camellia-192-wrap 4 Camellia-256-wrap"),
    **_below("1.2.410.200004", "1.4 SEED-CBC 7.1.1.1 SEED-wrap"),
    "1.2.840.113533.7.66.10": "CAST5-CBC",
    "1.3.6.1.4.1.188.7.1.1.2": "IDEA-CBC",
    "1.3.6.1.4.1.11591.4.11": "scrypt",
    "1.2.840.10046.2.1": "DH",
    f"{_PKCS}.3.1": "DH",
}

_KEY_AGREEMENTS: Final = {
    # RFC 5753, 7.1.4: single-pass, with the KDF of X9.63; without and with the cofactor
    "1.3.133.16.840.63.0.2": "ECDH with SHA-1 KDF",
    "1.3.133.16.840.63.0.3": "cofactor ECDH with SHA-1 KDF",
    "1.3.133.16.840.63.0.16": "ECMQV with SHA-1 KDF",
    **_below(
        f"{_CERTICOM}.1",
        "11.0 ECDH~with~SHA-224~KDF 11.1 ECDH~with~SHA-256~KDF 11.2 ECDH~with~SHA-384~KDF 11.3 ECDH~with~SHA-512~KDF"
        " 14.0 cofactor~ECDH~with~SHA-224~KDF 14.1 cofactor~ECDH~with~SHA-256~KDF"
        " 14.2 cofactor~ECDH~with~SHA-384~KDF 14.3 cofactor~ECDH~with~SHA-512~KDF 15.0 ECMQV~with~SHA-224~KDF"
        " 15.1 ECMQV~with~SHA-256~KDF 15.2 ECMQV~with~SHA-384~KDF 15.3 ECMQV~with~SHA-512~KDF",
    ),
}

_CURVES: Final = {
    **_below(f"{_X962}.3.1", "1 P-192 7 P-256"),
    **_below(f"{_CERTICOM}.0", "10 secp256k1 33 P-224 34 P-384 35 P-521"),
    **_below(
        f"{_TELETRUST}.3.3.2.8.1.1",
        "1 brainpoolP160r1 3 brainpoolP192r1 5 brainpoolP224r1 7 brainpoolP256r1 8 brainpoolP256t1 9 brainpoolP320r1"
        " 11 brainpoolP384r1 12 brainpoolP384t1 13 brainpoolP512r1 14 brainpoolP512t1",
    ),
    "1.2.156.10197.1.301": "SM2",
}

#: Parts of distinguished names, as RFC 4514, 3 and OpenSSL shorten them.
_NAME_ATTRIBUTES: Final = {
    **_below(
        "2.5.4",
        "3 CN 4 SN 5 serialNumber 6 C 7 L 8 ST 9 STREET 10 O 11 OU 12 title 13 description 15 businessCategory"
        " 17 postalCode 41 name 42 GN 43 initials 44 generationQualifier 45 uniqueIdentifier 46 dnQualifier"
        " 65 pseudonym 97 organizationIdentifier",
    ),
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    **_below(f"{_MICROSOFT}.60.2.1", "1 jurisdictionL 2 jurisdictionST 3 jurisdictionC"),
}

_NAMES: Final[dict[str, str]] = {
    **_CONTENT_TYPES,
    **_ATTRIBUTES,
    **_DIGESTS,
    **_SIGNATURES,
    **_CIPHERS,
    **_KEY_AGREEMENTS,
    **_CURVES,
    **_NAME_ATTRIBUTES,
    f"{_PKIX}.16.2": "OCSP response",
    f"{_PKIX}.16.4": "SCVP response",
}
