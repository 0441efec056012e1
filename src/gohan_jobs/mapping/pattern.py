r"""The ``regexp`` of the mapping language: a part of Python's syntax, matched in linear time.

Python's own engine backtracks, so that a short pattern can hold a thread for hours, and a
heat_template is data. Here a pattern becomes a set of states that are followed side by side: time
grows with (length of the pattern) x (length of the subject) and with nothing else (``rules`` 28).

Supported: characters, ``.``, classes such as ``[a-z_]``, the escapes ``\d \w \s \D \W \S``
and escaped punctuation, ``^``, ``$``, groups, ``|``, and ``*``, ``+``, ``?`` after any of them.
They mean what they mean in :mod:`re`. Anything else is refused by name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from typing import TypeAlias

import attrs

__all__ = ["MAX_PATTERN", "MAX_SUBJECT", "Pattern", "PatternRefused"]

MAX_PATTERN = 256
"""Characters a pattern may have."""

MAX_SUBJECT = 4096
"""Characters a subject may have."""

_MAX_DEPTH = 16
_SPECIAL = "*+?{})|"
_ESCAPES = frozenset("dDwWsStnrfv")
_NESTED_SETS = ("[", "--", "&&", "~~", "||")


class PatternRefused(ValueError):
    """A pattern outside the supported part of the syntax; the message says what."""


@attrs.frozen(eq=False)
class _One:
    """A state that reads one character."""

    accepts: Callable[[str], object]
    then: int


@attrs.frozen(eq=False)
class _Fork:
    """A state that goes on in several ways without reading."""

    ways: tuple[int, ...]


@attrs.frozen(eq=False)
class _Edge:
    """A state that holds only at the start (``^``) or the end (``$``) of the subject."""

    end: bool
    then: int

    def holds(self, subject: str, position: int) -> bool:
        """Whether the position is that edge; like :mod:`re`, a last newline ends a subject."""
        if not self.end:
            return position == 0
        return subject[position:] in {"", "\n"}


_State: TypeAlias = "_One | _Fork | _Edge"
_ACCEPTED = -1

# A parsed piece adds its states, given the state that follows it, and tells where it begins.
_Piece: TypeAlias = "Callable[[list[_State | None], int], int]"


def _one(accepts: Callable[[str], object]) -> _Piece:
    def build(states: list[_State | None], then: int) -> int:
        states.append(_One(accepts, then))
        return len(states) - 1

    return build


def _edge(*, end: bool) -> _Piece:
    def build(states: list[_State | None], then: int) -> int:
        states.append(_Edge(end, then))
        return len(states) - 1

    return build


def _sequence(pieces: list[_Piece]) -> _Piece:
    def build(states: list[_State | None], then: int) -> int:
        for piece in reversed(pieces):
            then = piece(states, then)
        return then

    return build


def _any_of(branches: list[_Piece]) -> _Piece:
    def build(states: list[_State | None], then: int) -> int:
        states.append(_Fork(tuple(branch(states, then) for branch in branches)))
        return len(states) - 1

    return build


def _repeat(piece: _Piece, sign: str) -> _Piece:
    def build(states: list[_State | None], then: int) -> int:
        if sign == "?":
            states.append(_Fork((piece(states, then), then)))
            return len(states) - 1
        states.append(None)
        fork = len(states) - 1
        start = piece(states, fork)
        states[fork] = _Fork((start, then))
        return start if sign == "+" else fork

    return build


class _Parser:
    """Recursive descent over one pattern."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0

    def parse(self) -> _Piece:
        piece = self._alternation()
        if self._at < len(self._text):
            raise PatternRefused("unbalanced ')'")
        return piece

    def _peek(self) -> str:
        return self._text[self._at : self._at + 1]

    def _take(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _alternation(self) -> _Piece:
        branches = [self._branch()]
        while self._peek() == "|":
            self._at += 1
            branches.append(self._branch())
        return branches[0] if len(branches) == 1 else _any_of(branches)

    def _branch(self) -> _Piece:
        pieces: list[_Piece] = []
        while self._peek() not in {"", "|", ")"}:
            pieces.append(self._quantified())
        return _sequence(pieces)

    def _quantified(self) -> _Piece:
        piece = self._atom()
        if self._peek() not in {"*", "+", "?"}:
            return piece
        sign = self._take()
        if self._peek() in {"*", "+", "?"}:
            raise PatternRefused("lazy, possessive and doubled quantifiers are not supported")
        return _repeat(piece, sign)

    def _atom(self) -> _Piece:
        character = self._take()
        if character == "(":
            return self._group()
        if character == "[":
            return self._class()
        if character == "\\":
            return self._escape()
        if character in "^$":
            return _edge(end=character == "$")
        if character == ".":
            return _one(lambda found: found != "\n")
        if character in _SPECIAL:
            raise PatternRefused(f"{character!r} is not supported here; escape it if it is meant")
        return _one(character.__eq__)

    def _group(self) -> _Piece:
        if self._text.startswith("?:", self._at):
            self._at += 2
        elif self._peek() == "?":
            raise PatternRefused("'(?' is supported only as '(?:'")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise PatternRefused(f"groups are nested more than {_MAX_DEPTH} deep")
        piece = self._alternation()
        if self._peek() != ")":
            raise PatternRefused("a '(' is not closed")
        self._at += 1
        self._depth -= 1
        return piece

    def _class(self) -> _Piece:
        start = self._at
        self._at += self._peek() == "^"
        self._at += self._peek() == "]"
        while self._peek() not in {"", "]"}:
            self._at += 2 if self._peek() == "\\" else 1
        content = self._text[start : self._at]
        self._at += 1
        if self._at > len(self._text):
            raise PatternRefused("a '[' is not closed")
        if any(sign in content for sign in _NESTED_SETS):
            raise PatternRefused("'[', '--', '&&', '~~' and '||' inside a class are not supported")
        return _one(_single(f"[{content}]"))

    def _escape(self) -> _Piece:
        if not self._peek():
            raise PatternRefused("it ends in a backslash")
        character = self._take()
        if character in _ESCAPES or not (character.isalnum() and character.isascii()):
            return _one(_single("\\" + character))
        raise PatternRefused(f"'\\{character}' is not supported")


def _single(text: str) -> Callable[[str], object]:
    """The test of one character that :mod:`re` gives to a class or an escape."""
    try:
        return re.compile(text).fullmatch
    except re.error as error:
        raise PatternRefused(f"{text!r}: {error}") from error


class Pattern:
    """A compiled pattern.

    Args:
        text: the pattern, of at most :data:`MAX_PATTERN` characters.

    Raises:
        PatternRefused: saying what is not supported.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_PATTERN:
            raise PatternRefused(f"a pattern has at most {MAX_PATTERN} characters")
        states: list[_State | None] = []
        self._start = _Parser(text).parse()(states, _ACCEPTED)
        self._states = states

    @staticmethod
    @functools.lru_cache(maxsize=256)
    def compiled(text: str) -> Pattern:
        """The compiled pattern of a text, from a bounded cache.

        Raises:
            PatternRefused: as the constructor does.
        """
        return Pattern(text)

    def matches(self, subject: str) -> bool:
        """Whether the subject matches from its start; it need not match to its end.

        Raises:
            PatternRefused: if the subject is longer than :data:`MAX_SUBJECT`.
        """
        if len(subject) > MAX_SUBJECT:
            raise PatternRefused(f"a subject has at most {MAX_SUBJECT} characters")
        current = self._closure([self._start], subject, 0)
        for position, character in enumerate(subject, 1):
            if _ACCEPTED in current or not current:
                break
            current = self._closure(self._after(current, character), subject, position)
        return _ACCEPTED in current

    def _after(self, current: Iterable[int], character: str) -> list[int]:
        states = (self._states[number] for number in current)
        return [s.then for s in states if isinstance(s, _One) and s.accepts(character)]

    def _closure(self, pending: list[int], subject: str, position: int) -> set[int]:
        """Every state reached without reading a character."""
        reached: set[int] = set()
        while pending:
            number = pending.pop()
            if number in reached:
                continue
            reached.add(number)
            state = None if number == _ACCEPTED else self._states[number]
            if isinstance(state, _Fork):
                pending.extend(state.ways)
            elif isinstance(state, _Edge) and state.holds(subject, position):
                pending.append(state.then)
        return reached
