"""``pkcs11:`` URIs, against the text of RFC 7512."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import fields, replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smime_agent.errors import UsageError
from smime_agent.tokens.uri import Pkcs11Uri

# RFC 7512, 3: every example but those with a pin-value, which are refused.
EXAMPLES = {
    "pkcs11:": Pkcs11Uri(),
    "pkcs11:object=my-pubkey;type=public": Pkcs11Uri(object="my-pubkey", type="public"),
    "pkcs11:object=my-key;type=private?pin-source=file:/etc/token": Pkcs11Uri(
        object="my-key", type="private", pin_source="file:/etc/token"
    ),
    "pkcs11:token=The%20Software%20PKCS%2311%20Softtoken;manufacturer=Snake%20Oil,%20Inc.;model=1.0;"
    "object=my-certificate;type=cert;id=%69%95%3E%5C%F4%BD%EC%91;serial=?pin-source=file:/etc/token_pin": Pkcs11Uri(
        token="The Software PKCS#11 Softtoken",
        manufacturer="Snake Oil, Inc.",
        model="1.0",
        object="my-certificate",
        type="cert",
        id=b"\x69\x95\x3e\x5c\xf4\xbd\xec\x91",
        serial="",
        pin_source="file:/etc/token_pin",
    ),
    "pkcs11:object=my-sign-key;type=private?module-name=mypkcs11": Pkcs11Uri(
        object="my-sign-key", type="private", module_name="mypkcs11"
    ),
    "pkcs11:object=my-sign-key;type=private?module-path=/mnt/libmypkcs11.so.1": Pkcs11Uri(
        object="my-sign-key", type="private", module_path="/mnt/libmypkcs11.so.1"
    ),
    "pkcs11:token=Software%20PKCS%2311%20softtoken;manufacturer=Snake%20Oil,%20Inc."
    "?pin-source=|/usr/lib/prog": Pkcs11Uri(
        token="Software PKCS#11 softtoken", manufacturer="Snake Oil, Inc.", pin_source="|/usr/lib/prog"
    ),
    "pkcs11:slot-description=Sun%20Metaslot": Pkcs11Uri(slot_description="Sun Metaslot"),
    "pkcs11:library-manufacturer=Snake%20Oil,%20Inc.;library-description=Soft%20Token%20Library;"
    "library-version=1.23": Pkcs11Uri(
        library_manufacturer="Snake Oil, Inc.", library_description="Soft Token Library", library_version=(1, 23)
    ),
    "pkcs11:library-version=3": Pkcs11Uri(library_version=(3, 0)),
    "pkcs11:slot-id=327;slot-manufacturer=ACME": Pkcs11Uri(slot_id=327, slot_manufacturer="ACME"),
    "pkcs11:token=%C3%9C": Pkcs11Uri(token="Ü"),
    # RFC 7512, 2.3: these may stand for themselves, in the path and in the query.
    "pkcs11:token=a:[]@!$'()*+,=&-._~": Pkcs11Uri(token="a:[]@!$'()*+,=&-._~"),
    "pkcs11:?pin-source=a:[]@!$'()*+,=/?|": Pkcs11Uri(pin_source="a:[]@!$'()*+,=/?|"),
    # An unknown attribute of the query is ignored (RFC 7512, 2.5).
    "pkcs11:token=a?vendor-thing=1&module-name=m": Pkcs11Uri(token="a", module_name="m"),
    "PKCS11:token=a": Pkcs11Uri(token="a"),
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_the_examples_of_the_standard_mean_what_it_says(text: str) -> None:
    assert Pkcs11Uri.parse(text) == EXAMPLES[text]


REFUSED = {
    "token=a": "does not begin with pkcs11:",
    "pkcs11": "does not begin with pkcs11:",
    "pkcs11:token": "'token' is not of the form name=value",
    "pkcs11:=a": "'=a' is not of the form name=value",
    "pkcs11:token=a;": "'' is not of the form name=value",
    "pkcs11:token=a;;object=b": "'' is not of the form name=value",
    "pkcs11:?&": "'' is not of the form name=value",
    "pkcs11:token=a b": "percent-encoded",
    "pkcs11:token=ü": "percent-encoded",
    "pkcs11:token=a#b": "percent-encoded",
    "pkcs11:token=a\nb": "percent-encoded",
    "pkcs11:token=a/b": "'/' must be percent-encoded",
    "pkcs11://token=a": "'/' must be percent-encoded",
    "pkcs11:token=%": "two hexadecimal digits",
    "pkcs11:token=%1": "two hexadecimal digits",
    "pkcs11:token=%zz": "two hexadecimal digits",
    "pkcs11:token=%C3": "not UTF-8",
    "pkcs11:token=a;token=a": "'token' is given twice",
    "pkcs11:id=%01;id=%01": "'id' is given twice",
    "pkcs11:slot-id=1;slot-id=1": "'slot-id' is given twice",
    "pkcs11:?pin-source=a&pin-source=b": "'pin-source' is given twice",
    "pkcs11:colour=red": "no path attribute 'colour'",
    "pkcs11:Token=a": "no path attribute 'Token'",
    "pkcs11:slot_id=1": "no path attribute 'slot_id'",
    "pkcs11:pin-source=file:a": "no path attribute 'pin-source'",
    "pkcs11:type=key": "type is one of",
    "pkcs11:slot-id=": "is a number",
    "pkcs11:slot-id=0x1": "is a number",
    "pkcs11:slot-id=-1": "is a number",
    "pkcs11:slot-id=%D9%A1": "is a number",  # an Arabic digit
    "pkcs11:slot-id=" + "9" * 21: "is a number",
    "pkcs11:library-version=": "is a number",
    "pkcs11:library-version=1.": "is a number",
    "pkcs11:library-version=1.x": "is a number",
    "pkcs11:library-version=1.2.3": "is a number",
    "pkcs11:?module-path=lib/p11.so": "module-path must be absolute",
    "pkcs11:token=" + "t" * 33: "longer than a token can have",
    "pkcs11:token=" + "%C3%9C" * 17: "longer than a token can have",
    "pkcs11:serial=" + "1" * 17: "longer than a token can have",
    "pkcs11:model=" + "1" * 17: "longer than a token can have",
    "pkcs11:manufacturer=" + "m" * 33: "longer than a token can have",
    "pkcs11:library-manufacturer=" + "m" * 33: "longer than a token can have",
    "pkcs11:library-description=" + "m" * 33: "longer than a token can have",
    "pkcs11:slot-manufacturer=" + "m" * 33: "longer than a token can have",
    "pkcs11:slot-description=" + "m" * 65: "longer than a token can have",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_no_uri_is_refused_with_the_reason(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pkcs11Uri.parse(text)
    assert REFUSED[text] in str(caught.value)


@pytest.mark.parametrize("name", ["token", "manufacturer", "serial", "model", "slot-description"])
def test_a_value_may_be_as_long_as_the_field(name: str) -> None:
    width = {"token": 32, "manufacturer": 32, "slot-description": 64}.get(name, 16)
    assert getattr(Pkcs11Uri.parse(f"pkcs11:{name}={'x' * width}"), name.replace("-", "_")) == "x" * width


@pytest.mark.parametrize(
    "text", ["pkcs11:?pin-value=4711", "pkcs11:token=a?module-name=b&pin-value=4711", "pkcs11:?pin-value=47%31%31"]
)
def test_a_pin_in_a_uri_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pkcs11Uri.parse(text)
    said = f"{caught.value} {caught.value.hint}"
    assert "pin-value" in said
    assert "47" not in said


@pytest.mark.parametrize(
    "text",
    [
        "pkcs11:pin-value=4711",
        "pkcs11:token=a;pin-value=4711",
        "pkcs11:token=a b?pin-value=4711",
        "pkcs11:token=%?pin-value=4711",
        "pkcs11:token=a;token=b?pin-value=4711",
        "pkcs11:?module-path=x&pin-value=4711",
        "pkcs11:?pin-value",
        "PKCS11:token=a;colour=b?pin-value=4711",
        "pkcs11:?PIN-VALUE=4711&pin-source",
    ],
)
def test_a_pin_is_not_repeated_either_where_something_else_is_wrong(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Pkcs11Uri.parse(text)
    assert "4711" not in f"{caught.value} {caught.value.hint}"


# --- properties ---

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=16)
_SHORT = _TEXT.filter(lambda text: len(text.encode()) <= 16)
URIS = st.builds(
    Pkcs11Uri,
    token=st.none() | _SHORT,
    manufacturer=st.none() | _SHORT,
    serial=st.none() | _SHORT,
    model=st.none() | _SHORT,
    library_manufacturer=st.none() | _SHORT,
    library_description=st.none() | _SHORT,
    library_version=st.none() | st.tuples(st.integers(0, 255), st.integers(0, 255)),
    slot_manufacturer=st.none() | _SHORT,
    slot_description=st.none() | _SHORT,
    slot_id=st.none() | st.integers(0, 2**64 - 1),
    object=st.none() | _TEXT,
    type=st.none() | st.sampled_from(["public", "private", "cert", "secret-key", "data"]),
    id=st.none() | st.binary(max_size=20),
    pin_source=st.none() | _TEXT,
    module_name=st.none() | _TEXT,
    module_path=st.none() | _TEXT.map("/{}".format),
)


@given(URIS)
@example(Pkcs11Uri(token="a;b?c/d#e%f&g=h i"))
@example(Pkcs11Uri(pin_source="|/a b?c=d&e;f#g%h"))
@example(Pkcs11Uri(id=b""))
def test_a_uri_reads_back_as_what_it_was(uri: Pkcs11Uri) -> None:
    assert Pkcs11Uri.parse(str(uri)) == uri


@given(URIS)
def test_writing_is_in_normal_form(uri: Pkcs11Uri) -> None:
    text = str(uri)
    assert text.isascii()
    assert str(Pkcs11Uri.parse(text)) == text


@given(st.one_of(st.text(), st.text().map("pkcs11:{}".format)))
@example("pkcs11:id=%FF%FE")
@example("pkcs11:\0")
def test_any_text_is_a_uri_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert str(Pkcs11Uri.parse(text)).startswith("pkcs11:")


@given(
    st.lists(
        st.sampled_from(["token", "id", "slot-id", "library-version", "type", "=", ";", "?", "&", "%", "41", "1.", "/"])
    )
)
def test_what_looks_like_a_uri_is_one_or_a_usage_error(pieces: list[str]) -> None:
    with suppress(UsageError):
        Pkcs11Uri.parse("pkcs11:" + "".join(pieces))


# --- matching (RFC 7512, 2.5) ---

FACTS = {
    "token": "My token",
    "serial": "0042",
    "manufacturer": "ACME",
    "model": "X",
    "slot_id": 3,
    "library_version": (2, 6),
    "id": b"\x01",
    "object": "Cl\u00e9",
}


@given(st.sets(st.sampled_from(sorted(FACTS))))
def test_a_uri_matches_what_has_all_of_its_attributes(names: set[str]) -> None:
    assert replace(Pkcs11Uri(), **{name: FACTS[name] for name in names}).matches(FACTS)  # type: ignore[arg-type]  # of each its own


@pytest.mark.parametrize(
    "other",
    [
        Pkcs11Uri(token="my token"),
        Pkcs11Uri(token="My token", serial="42"),
        Pkcs11Uri(serial=""),
        Pkcs11Uri(slot_id=4),
        Pkcs11Uri(library_version=(2, 60)),
        Pkcs11Uri(id=b"\x01\x00"),
        Pkcs11Uri(id=b""),
    ],
)
def test_a_uri_does_not_match_what_differs_in_one(other: Pkcs11Uri) -> None:
    assert not other.matches(FACTS)


def test_an_attribute_that_nothing_is_known_of_does_not_count() -> None:
    assert Pkcs11Uri(token="My token", type="private", module_name="x").matches(FACTS)


def test_letters_match_in_whatever_form_of_unicode_they_come() -> None:
    assert Pkcs11Uri(object=unicodedata.normalize("NFD", "Cl\u00e9")).matches(FACTS)


def test_every_attribute_of_the_standard_is_there() -> None:
    # RFC 7512, 2.3, without pin-value.
    standard = (
        "token manufacturer serial model library-manufacturer library-version library-description object type id "
        "slot-description slot-manufacturer slot-id pin-source module-name module-path"
    )
    assert {field.name.replace("_", "-") for field in fields(Pkcs11Uri)} == set(standard.split())
