"""``gohan-jobs check``: formats, problems and exit statuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from documented import JOB_KEY, SEEDS, job_document
from gohan_jobs.cli.main import main
from gohan_jobs.cli.stored import Stored, Unreadable, read_stored
from gohan_jobs.exceptions import Problem
from recorded_runs import corpus_file

CONFIG = "/config/v2.0/ports/p1"
GOOD = '{"body": {}, "version": 1}'


def check(given: str | bytes, *files: str) -> Result:
    """Check standard input, or files."""
    return CliRunner().invoke(main, ["check", *(files or ("-",))], input=given)


def test_the_seeds_are_well() -> None:
    """Both documented pages hold six good records each."""
    result = check("", *(str(SEEDS / f"{name}.txt") for name in ("create", "update")))
    assert (0, "", "12 records, 0 problems\n") == (result.exit_code, result.stdout, result.stderr)


def test_the_recorded_documents_are_well() -> None:
    """All documented records are good ones."""
    result = check("", str(corpus_file("documents.jsonl")))
    assert (0, "499 records, 0 problems\n") == (result.exit_code, result.stderr)


def test_every_problem_is_told(tmp_path: Path) -> None:
    """Each problem of each file has a line of its own, with file, line, key and path."""
    page, lines = tmp_path / "page.md", tmp_path / "lines.jsonl"
    one = check(json.dumps({"key": CONFIG}))
    assert (1, "1 record, 1 problem\n") == (one.exit_code, one.stderr)
    page.write_text(f'# Page\n\n```\n{CONFIG}\n{{"body": {{}}}}\n```\n', encoding="utf-8")
    rows = [
        {"key": CONFIG, "text": GOOD},
        {"key": CONFIG, "value": {"version": 1.0}},
        {"key": "/jobs/ready/x", "text": ""},
        {"key": CONFIG},
    ]
    lines.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    result = check("", str(page), str(lines))
    assert (1, "5 records, 5 problems\n") == (result.exit_code, result.stderr)
    assert [
        f"{page}:4: {CONFIG}: required field missing @ $.version",
        f"{lines}:2: {CONFIG}: required field missing @ $.body",
        f"{lines}:2: {CONFIG}: expected an integer, found a fractional number @ $.version",
        f"{lines}:3: '/jobs/ready/x': not a record's key",
        f"{lines}:4: expected a string 'text', or a 'value' @ $.text",
    ] == result.stdout.splitlines()


def test_a_file_without_records() -> None:
    """A file in which there is nothing to check is a problem, or a typing error would pass."""
    result = check("# nothing\n")
    assert (1, "<stdin>: no record found\n") == (result.exit_code, result.stdout)


def test_values_are_not_shown() -> None:
    """A problem's line names no value, which may be a password."""
    text = json.dumps(job_document(params=[{"param": "password", "value": "s3cret", "type": 1}]))
    result = check(f"{JOB_KEY}\n{text}\n")
    assert (1, False) == (result.exit_code, "s3cret" in result.output)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"text only\n", b"```\n```\n"])
def test_read_nothing(content: bytes) -> None:
    """Files without a key hold nothing."""
    assert list(read_stored(content)) == []


def test_read_what_etcdctl_prints() -> None:
    """Keys and values without fences: each value ends before the next key."""
    content = f"{CONFIG}\n{GOOD}\n/state/v2.0/ports/p1\n{{\n  1\n}}\n".encode()
    assert [
        Stored(1, CONFIG, GOOD.encode()),
        Stored(3, "/state/v2.0/ports/p1", b"{\n  1\n}"),
    ] == list(read_stored(content))


def test_read_a_key_without_a_value() -> None:
    """A key at the end has an empty text."""
    assert [Stored(1, CONFIG, b"")] == list(read_stored(CONFIG.encode()))


def test_read_only_what_is_fenced() -> None:
    """In a page with fences, text around them counts for nothing, whatever it begins with."""
    content = f"/not/a/key\n\n~~~ text\n{CONFIG}\n{GOOD}\n~~~\n/nor/this\n".encode()
    assert [Stored(4, CONFIG, GOOD.encode())] == list(read_stored(content))


def test_read_a_key_that_is_not_utf8() -> None:
    """Such a key is kept readable, and is refused later."""
    assert [Stored(1, "/config/v2.0/ports/�", b"{}")] == list(
        read_stored(b"/config/v2.0/ports/\xff\n{}\n")
    )


def test_read_lines_of_json() -> None:
    """``text`` is what is stored, ``value`` is its JSON; blank lines count for the numbers only."""
    content = b'{"key": "/a", "text": "{}"}\n\n{"key": "/b", "value": null, "more": 1}\n'
    assert [Stored(1, "/a", b"{}"), Stored(3, "/b", b"null")] == list(read_stored(content))


@pytest.mark.parametrize(
    ("line", "path"),
    [
        (b"{", "$"),
        (b"[]", "$.key"),
        (b'{"key": 1}', "$.key"),
        (b'{"key": "/a", "text": 1}', "$.text"),
    ],
)
def test_read_lines_that_are_wrong(line: bytes, path: str) -> None:
    """A line that is no such object is told, and the others are read."""
    first, second = read_stored(b'{"key": "/a", "text": ""}\n' + line)
    assert Stored(1, "/a", b"") == first
    assert isinstance(second, Unreadable)
    assert (2, [path]) == (second.line, [problem.path for problem in second.problems])
    assert all(isinstance(problem, Problem) for problem in second.problems)
