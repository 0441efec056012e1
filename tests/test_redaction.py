"""Which keys are secret, and that their values are nowhere else either (``rules`` 29)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gohan_jobs.redaction import MASK, Redactor, is_secret_key
from strategies import json_values

SECRET_KEYS = [
    "password",
    "admin_password",
    "PASSWORD",
    "passwordHash",
    "thepasswords",
    "passwd",
    "secret",
    "token",
    "private_key",
    "api_key",
    "auth_token",
    "X-Auth-Token",
    "clientSecret",
    "APIKey",
    "TOKENId",
    "apiKey",
    "ssh:private-key",
    "os.TOKEN",
]
OPEN_KEYS = [
    "",
    "tokens",
    "tokenizer",
    "secretary",
    "key",
    "public_key",
    "private",
    "apikeys",
    "pass",
    "api_version_key",
    "mytoken",
    "value",
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_secret_keys(key: str) -> None:
    """Anything with password in it, and the whole words, however they are joined."""
    assert is_secret_key(key)


@pytest.mark.parametrize("key", OPEN_KEYS)
def test_other_keys(key: str) -> None:
    """Words that only begin or end like a secret one are none."""
    assert not is_secret_key(key)


def test_the_values_of_secret_keys_are_masked_whole() -> None:
    """At any depth; the rest is as it was."""
    value = {"a": [{"password": {"b": 1}}, {"c": "d"}], "token": None}
    assert {"a": [{"password": MASK}, {"c": "d"}], "token": MASK} == Redactor().redact(value)


def test_a_param_goes_by_its_name_and_an_output_by_its_key() -> None:
    """The value of the param ``admin_password``, the output_value of the key ``token``."""
    params = ({"param": "admin_password", "value": ["x"]}, {"param": "name", "value": "y"})
    outputs = [{"output_key": "token", "output_value": "x", "description": "d"}]
    assert [{"param": "admin_password", "value": MASK}, params[1]] == Redactor().redact(params)
    assert [{"output_key": "token", "output_value": MASK, "description": "d"}] == Redactor().redact(
        outputs
    )


def test_a_name_that_is_no_text_names_nothing() -> None:
    """A body may have a field ``param`` of any kind."""
    value = {"param": ["password"], "value": 1, "output_value": 2}
    assert value == Redactor().redact(value)


def test_which_keys_are_secret_is_the_embedders_to_say() -> None:
    """In keys and in names; the default no longer applies."""
    redactor = Redactor(lambda key: key == "pin")
    value = {"pin": "1234", "password": "x", "inner": {"param": "pin", "value": "5678"}}
    assert {"pin": MASK, "password": "x", "inner": {"param": "pin", "value": MASK}} == (
        redactor.redact(value)
    )
    assert {"1234", "5678"} == redactor.secrets_in(value)


def test_secret_values_are_found_at_any_depth() -> None:
    """Texts and numbers below a secret key; not true, false or null."""
    value = [
        {"password": {"a": ["one", 2, 1.5, True, None, ("three",)]}, "name": "four"},
        {"param": "token", "value": "five"},
    ]
    assert {"one", "2", "1.5", "three", "five"} == Redactor().secrets_in(value, "six", 7)
    assert {"one"} == Redactor().secrets_in(({"password": "one"},))


def test_a_secret_is_scrubbed_as_json_spells_it_too() -> None:
    """Heat quotes parameters in its reasons."""
    redactor = Redactor()
    secret = 'a"b\\ü'
    text = f"{secret} and {json.dumps({'p': secret})}"
    assert f'{MASK} and {{"p": "{MASK}"}}' == redactor.scrub(
        text, redactor.secrets_in({"password": secret})
    )


def test_longer_secrets_go_first() -> None:
    """Or a rest of one would be left."""
    assert f"{MASK} {MASK}" == Redactor().scrub("swordfish sword", {"sword", "swordfish"})


@pytest.mark.parametrize(
    ("secret", "text", "expected"),
    [
        ("1", "port 8001 refused 1.", f"port 8001 refused {MASK}."),
        ("", "port 8001", "port 8001"),
        ("a!", "is a! so, ba! not", f"is {MASK} so, ba! not"),
        ("a.c", "abc a.c", f"abc {MASK}"),
        ("abc", "xabcx", "xabcx"),
        ("abcd", "xabcdx", f"x{MASK}x"),
        ("abcdef", "x abcd… abc…", f"x {MASK}… abc…"),
    ],
)
def test_short_secrets_are_scrubbed_as_words(secret: str, text: str, expected: str) -> None:
    """A password ``1`` leaves port 8001 readable; an empty one leaves everything."""
    assert expected == Redactor().scrub(text, {secret})


def test_not_every_key_ever_seen_is_remembered() -> None:
    """Keys come from bodies: what is known of them must not grow for ever."""
    assert 4096 == is_secret_key.cache_parameters()["maxsize"]


@given(json_values, st.text(min_size=4, max_size=8))
def test_nothing_secret_survives(value: Any, text: str) -> None:
    """Whatever stands under a secret key is not in the redacted value, nor in a scrubbed text."""
    redactor = Redactor()
    found = redactor.secrets_in({"password": text, "more": value})
    assert text not in redactor.scrub(f"before {text} after", found)
    assert {"password": MASK, "more": redactor.redact(value)} == redactor.redact(
        {"password": text, "more": value}
    )


@given(json_values)
def test_redacting_twice_is_redacting_once(value: Any) -> None:
    """Masks stay masks."""
    once = Redactor().redact(value)
    assert once == Redactor().redact(once)


def test_a_secret_on_one_line_or_cut_is_scrubbed() -> None:
    """A diagnosis' lines are flattened and cut before anybody knows what is secret in them."""
    redactor = Redactor()
    secrets = redactor.secrets_in({"private_key": "BEGIN\nsword fish\nEND", "pin_token": "abcdef"})
    assert f"has {MASK} and {MASK}…; {MASK}…; abc…" == redactor.scrub(
        "has BEGIN sword fish END and BEGIN sword…; abcde…; abc…", secrets
    )
    assert "abcde" == redactor.scrub("abcde", secrets)


def test_a_secret_is_scrubbed_as_python_spells_it_too() -> None:
    """Heat's reasons hold reprs of its parameters."""
    secret = 'it\'s\n"ü"'
    redactor = Redactor()
    text = f"failed with { ({'p': secret})!r}"
    assert f"failed with {{'p': '{MASK}'}}" == redactor.scrub(
        text, redactor.secrets_in({"password": secret})
    )
