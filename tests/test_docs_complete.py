"""Every public name, field, key, error, event and option is on a page of the documentation."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import attrs
import click
import pytest

from gohan_jobs import exceptions, planning, schemas_http
from gohan_jobs.cli.main import COMMANDS, main
from gohan_jobs.codec import strict_json
from gohan_jobs.keys import Keys
from gohan_jobs.manager import ManagerOptions
from gohan_jobs.mapping import parser, pattern
from gohan_jobs.orchestrators.heat import HeatSettings
from gohan_jobs.poller import PollOptions
from gohan_jobs.stores import transactions
from gohan_jobs.templates import syntax
from gohan_jobs.worker import WorkerOptions

DOCS = Path(__file__).parents[1] / "docs"
EXTENSIONS = DOCS / "_ext"
SECTION = re.compile(r"^(?:Attributes|Args):\n((?:(?: +.*)?\n)*)", re.MULTILINE)
FIELD = re.compile(r"^    (\w+): (.*\n(?:     +.*\n)*)", re.MULTILINE)
UNIT = re.compile(r"second|clock|times|share|\d s\b")
NO_UNIT_NEEDED = {"PollOptions.longest", "HandlerOptions.backoff_at_most"}
"""Sentences that go on from the one before, which has the unit."""


@pytest.fixture(scope="module", autouse=True)
def _needs_sphinx() -> None:
    if importlib.util.find_spec("sphinx") is None:
        pytest.skip("Sphinx is not installed: pip install --group docs")


def extension(name: str) -> Any:
    """One of the documentation's own extensions."""
    spec = importlib.util.spec_from_file_location(name, EXTENSIONS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def api_modules() -> Iterator[ModuleType]:
    """The modules that programs import from, by the documentation's own list."""
    settings: dict[str, Any] = {"__file__": str(DOCS / "conf.py")}
    before = list(sys.path)
    exec((DOCS / "conf.py").read_text(encoding="utf-8"), settings)  # noqa: S102 - our own
    sys.path[:] = before
    for name in settings["api_modules"]:
        yield importlib.import_module(name)


def classes() -> Iterator[type]:
    """Every public class with fields."""
    found = {
        value
        for module in api_modules()
        for name in getattr(module, "__all__", ())
        if isinstance(value := getattr(module, name), type) and attrs.has(value)
    }
    yield from sorted(found, key=lambda kind: kind.__qualname__)


def described(kind: type) -> dict[str, str]:
    """What a class and its bases say of their fields."""
    said: dict[str, str] = {}
    for each in reversed(kind.__mro__):
        text = inspect.cleandoc(each.__doc__ or "") + "\n"
        for section in SECTION.findall(text):
            said |= {name: " ".join(words.split()) for name, words in FIELD.findall(section)}
    return said


def test_every_field_is_described() -> None:
    """Of every public class, in its docstring."""
    undescribed = [
        f"{kind.__qualname__}.{field.name}"
        for kind in classes()
        for field in attrs.fields(kind)
        if field.init and not field.name.startswith("_") and field.name not in described(kind)
    ]
    assert [] == undescribed


def test_every_quantity_has_its_unit() -> None:
    """A field that is a fraction, as times are, says of what, or is named for it."""
    assert [] == [
        f"{kind.__qualname__}.{field.name}"
        for kind in classes()
        for field in attrs.fields(kind)
        if "float" in str(field.type)
        and not field.name.startswith("_")
        and f"{kind.__qualname__}.{field.name}" not in NO_UNIT_NEEDED
        and not UNIT.search(f"{field.name} {described(kind)[field.name]}")
    ]


def test_a_name_on_no_page_is_found() -> None:
    """Without any page all of them are missing: modules' names, members of classes' after them."""
    checker = extension("every_public_name")
    found = list(checker.missing(set()))
    assert {
        "gohan_jobs.lifecycle.Lifecycle",
        "gohan_jobs.stores.etcd.EtcdStore",
        "gohan_jobs.orchestrators.simulated.Outcome",
        "gohan_jobs.instrumentation.PrometheusHook",
        "gohan_jobs.testing.faults.FaultyStore",
    } <= set(found)
    pages = {name for name in found if name.startswith("gohan_jobs.records")}
    left = [name for name in checker.missing(pages) if name.startswith("gohan_jobs.records.voc")]
    assert "gohan_jobs.records.vocabulary.WorkerState.CREATED" in left


def test_every_member_of_a_class_counts() -> None:
    """Methods, properties and values; no fields, and nothing private."""
    checker = extension("every_public_name")
    assert {"of", "fallback"} == set(checker.members_of(Sample))


class Sample:
    """A class with everything."""

    _hidden = 1
    field = 2

    @classmethod
    def of(cls) -> None:
        """Public."""

    @property
    def fallback(self) -> int:
        """Public."""
        return 0

    def _own(self) -> None:
        """Private."""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_in_the_reference(name: str) -> None:
    """Each command's options, hidden ones by their variables, and each variable there is."""
    texts = dict(extension("command_line").told())
    command = main.get_command(click.Context(main), name)
    assert command is not None
    text = texts[f"gohan-jobs {name}"]
    for param in command.params:
        shown = [param.envvar] if getattr(param, "hidden", False) else param.opts[:1]
        if isinstance(param, click.Argument):
            shown = [param.make_metavar(click.Context(command)).strip("[]").rstrip(".")]
        if isinstance(param.envvar, str):
            shown.append(param.envvar)
        for word in shown:
            assert re.search(rf"(?<![\w-]){re.escape(str(word))}(?![\w-])", text), word


def test_every_prefix_is_in_the_table_of_keys() -> None:
    """Each prefix or key that can be set, as it is unless it is set."""
    page = (DOCS / "reference" / "keys.md").read_text(encoding="utf-8")
    keys = Keys()
    prefixes = {
        field.name: getattr(keys, field.name)
        for field in attrs.fields(Keys)
        if isinstance(getattr(keys, field.name), str)
    }
    assert prefixes
    assert {} == {name: prefix for name, prefix in prefixes.items() if f"`{prefix}" not in page}


def test_every_error_is_public() -> None:
    """Each class of errors is in ``__all__``, from which its page is made."""
    errors = {
        name
        for name, value in vars(exceptions).items()
        if isinstance(value, type) and value.__module__ == exceptions.__name__ and name[0] != "_"
    }
    assert errors == set(exceptions.__all__)


LIMITS = {
    "| 128 |": transactions.MAX_OPERATIONS == 128,
    "| 1.5 MiB | etcd's default": transactions.MAX_REQUEST_BYTES == 1.5 * 2**20 - 64,
    "| 5,000 |": planning.MAX_DEPENDENCIES == 5_000,
    "| 200 levels |": strict_json.MAX_LEVELS == 200,
    "| 4,300 |": strict_json.MAX_DIGITS == 4_300,
    "| 1,000 |": strict_json.MAX_PROBLEMS == 1_000,
    "| 32 levels |": parser.MAX_DEPTH == 32,
    "| 256, 4,096 characters |": (pattern.MAX_PATTERN, pattern.MAX_SUBJECT) == (256, 4096),
    "| 1 MiB each |": syntax.MAX_TEMPLATE == 2**20,
    "| 64 MiB |": schemas_http.MAX_ANSWER == 64 * 2**20,
    "| 100, if they are also 5 % of all |": (
        (ManagerOptions().max_removals, ManagerOptions().max_removal_share) == (100, 0.05)
    ),
    "| lost claims of one job | 5 |": ManagerOptions().max_attempts == 5,
    "| 4 for each slot of all workers |": ManagerOptions().ready_per_slot == 4,
    "transaction | 16 |": ManagerOptions().batch == 16,
    "Above 80 % of": ManagerOptions().quota_share == 0.8,
    "| slots of a worker | 8 |": WorkerOptions().slots == 8,
    "| a request to Heat | 20 s |": HeatSettings().request_timeout == 20.0,
    "at an age of 0.25 s, 0.5 s, 1 s, 2 s": (
        [PollOptions().age_after(age) for age in (0.0, 0.25, 0.5, 1.0, 2.0)]
        == [0.25, 0.5, 1.0, 2.0, 3.0]
    ),
    "at most every 0.4 s": PollOptions().gather == 0.4,
}
"""What the page of limits says, and whether it is so."""


@pytest.mark.parametrize("said", LIMITS)
def test_limits_are_what_their_page_says(said: str) -> None:
    """Each number stands on the page, and is the one in the code."""
    page = (DOCS / "explanation" / "limits.md").read_text(encoding="utf-8")
    assert (True, True) == (said in page, LIMITS[said])
