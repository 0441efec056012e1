"""Every error can be pickled, and says what it is about."""

from __future__ import annotations

import inspect
import pickle

import pytest

from gohan_jobs import exceptions
from gohan_jobs.exceptions import (
    AmbiguousWrite,
    ClaimLost,
    Compacted,
    Degraded,
    GohanJobsError,
    HandlerUnavailable,
    InvalidKey,
    InvalidRecord,
    InvalidSchema,
    LeaseNotFound,
    MappingError,
    MappingEvaluationError,
    MappingSyntaxError,
    NotLeader,
    OperationRefused,
    OrchestratorError,
    OrchestratorRefused,
    OrchestratorUnavailable,
    Problem,
    StackExists,
    StackFailed,
    StackNotFound,
    StackRejected,
    StoreClosed,
    StoreError,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
    TemplateBudgetExceeded,
    TemplateError,
    TemplateInvalid,
    TemplateRefused,
    TransactionTooLarge,
    UnresolvedReference,
    UnsupportedFormat,
    WaitTimeout,
    WrongCluster,
)

PROBLEMS = (Problem("$.body", "required field missing"), Problem("$[1]", "expected an object"))
BOTH = "required field missing @ $.body; expected an object @ $[1]"
LESS = "less: its limit is smaller than etcd's default, and not known"

ERRORS = [
    (GohanJobsError("words"), "words"),
    (InvalidKey("/x", "not a record's key"), "'/x': not a record's key"),
    (InvalidRecord("/config/a/b", PROBLEMS), f"/config/a/b: {BOTH}"),
    (InvalidSchema("schemas.json", PROBLEMS), f"schemas of schemas.json: {BOTH}"),
    (MappingError("words"), "words"),
    (MappingSyntaxError("Q", "no such form"), "mapping Q: no such form"),
    (MappingSyntaxError("Q", "no such form", "port.id"), "port.id: mapping Q: no such form"),
    (MappingEvaluationError("port:1", "name", "null"), "port:1: name: null"),
    (UnresolvedReference("port:1", "name", "absent", "network", "2"), "port:1: name: absent"),
    (UnresolvedReference("port:1", "name", "absent"), "port:1: name: absent"),
    (TemplateError("port", "words"), "template port: words"),
    (TemplateRefused("port", "import", 3), "template port line 3: import"),
    (TemplateBudgetExceeded("port", "too long"), "template port: too long"),
    (TemplateInvalid("port", "not Jinja", 1), "template port line 1: not Jinja"),
    (StoreError("words"), "words"),
    (Compacted(7), "history before revision 7 has been compacted"),
    (StoreUnavailable("no answer"), "no answer"),
    (AmbiguousWrite("no answer"), "no answer"),
    (TransactionTooLarge("/k", 9, 5), "/k: 9 bytes, the store takes 5"),
    (TransactionTooLarge("", 9, 5), "9 operations in one transaction, the store takes 5"),
    (TransactionTooLarge("/k", 9), f"/k: 9 bytes, the store takes {LESS}"),
    (TransactionTooLarge("", 9), f"9 operations in one transaction, the store takes {LESS}"),
    (StoreFull("no space"), "no space"),
    (StoreRefused("permission denied"), "permission denied"),
    (
        WrongCluster("b", "a"),
        (
            "cluster b answers, it was a before: correct the address, or accept the move with "
            "'gohan-jobs resume --accept --beforehand'"
        ),
    ),
    (LeaseNotFound(255), "lease ff does not exist (any more)"),
    (StoreClosed("closed"), "closed"),
    (OrchestratorError("words"), "words"),
    (OrchestratorUnavailable("503"), "503"),
    (OrchestratorRefused("401"), "401"),
    (StackNotFound("port_1"), "port_1"),
    (StackExists("port_1"), "port_1"),
    (StackRejected("too many", "Quota", retryable=True), "too many"),
    (StackRejected("bad template"), "bad template"),
    (StackFailed("failed", "CREATE_FAILED", ("a", "b")), "failed; a; b"),
    (HandlerUnavailable("a", "here", "it is not there"), "handler 'a' of here: it is not there"),
    (ClaimLost("create:h:t:i:1:abcde", "expired"), "claim of create:h:t:i:1:abcde lost: expired"),
    (NotLeader("words"), "words"),
    (OperationRefused("port:p1", "there is no config"), "port:p1: there is no config"),
    (Degraded("500 configs gone"), "500 configs gone"),
    (UnsupportedFormat("2", "1"), "keyspace format '2'; this release supports '1'"),
    (
        UnsupportedFormat("loading", "1"),
        (
            "the keyspace is half loaded: `gohan-jobs load FILE` with the same dump loads the "
            "rest, `gohan-jobs load FILE --undo` takes back what is there"
        ),
    ),
    (WaitTimeout("port:1", 2, 0.5), "port:1 version 2: no result after 0.5 s"),
]


@pytest.mark.parametrize(("error", "text"), ERRORS, ids=lambda value: type(value).__name__)
def test_error_says_what_it_is_about(error: GohanJobsError, text: str) -> None:
    """An error's text names its subject, what was expected and what was found."""
    assert text == str(error)


@pytest.mark.parametrize("error", [error for error, _ in ERRORS], ids=lambda e: type(e).__name__)
def test_error_is_pickled(error: GohanJobsError) -> None:
    """An error comes back from another process as the same class with the same facts."""
    found = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(error) is type(found)
    assert (str(error), error.args, vars(error)) == (str(found), found.args, vars(found))


def test_every_error_is_listed_here() -> None:
    """No error of the tree is missing from these tests."""
    classes = {
        value
        for value in vars(exceptions).values()
        if inspect.isclass(value) and issubclass(value, GohanJobsError)
    }
    assert classes == {type(error) for error, _ in ERRORS}


def test_every_error_is_exported_and_drawn() -> None:
    """``__all__`` and the drawing of the tree name every error."""
    names = {type(error).__name__ for error, _ in ERRORS}
    assert names | {"Problem"} == set(exceptions.__all__)
    assert sorted(exceptions.__all__) == exceptions.__all__
    assert set() == {name for name in names if name not in (exceptions.__doc__ or "")}


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (OrchestratorUnavailable("503"), True),
        (StackExists("port_1"), True),
        (StackRejected("quota", retryable=True), True),
        (StackRejected("template"), False),
        (OrchestratorRefused("401"), False),
        (StackNotFound("port_1"), False),
        (StackFailed("failed", "CREATE_FAILED"), False),
    ],
)
def test_what_may_be_tried_again(error: OrchestratorError, *, retryable: bool) -> None:
    """An orchestrator's error tells whether the same call may succeed later."""
    assert retryable is error.retryable
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert retryable is again.retryable
