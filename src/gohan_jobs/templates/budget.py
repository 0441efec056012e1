"""What one rendering may use; spent before the memory or the time is."""

from __future__ import annotations

from typing import Any, NoReturn

from gohan_jobs.exceptions import TemplateBudgetExceeded
from gohan_jobs.templates.values import measure

__all__ = ["Budget"]

_STEPS_PER_ITERATION = 100
_WORK_PER_OUTPUT = 8


class Budget:
    """Counts down what a rendering uses; thread-confined, made for one rendering.

    Args:
        template: the template's id, for errors.
        max_iterations: passes of all loops together; nested loops multiply.
        max_output: characters of output, and of any one intermediate value. All intermediate
            values together may have eight times as many, and a hundred expressions and statements
            may be evaluated for each iteration allowed.
    """

    def __init__(self, template: str, max_iterations: int, max_output: int) -> None:
        self._template = template
        self._limits = (max_iterations, max_output)
        self._iterations = max_iterations
        self._steps = max_iterations * _STEPS_PER_ITERATION
        self._output = max_output
        self._work = max_output * _WORK_PER_OUTPUT

    def _exceeded(self, reason: str, line: int) -> NoReturn:
        raise TemplateBudgetExceeded(self._template, reason, line)

    def iteration(self, line: int) -> None:
        """One more pass of a loop."""
        self._iterations -= 1
        if self._iterations < 0:
            self._exceeded(f"more than {self._limits[0]} iterations", line)

    def step(self, line: int) -> None:
        """One more expression or statement."""
        self._steps -= 1
        if self._steps < 0:
            limit = self._limits[0] * _STEPS_PER_ITERATION
            self._exceeded(f"more than {limit} steps", line)

    def work(self, characters: int, line: int) -> None:
        """An intermediate value of that size is about to be made, or compared."""
        self._work -= characters
        if characters > self._limits[1]:
            self._exceeded(f"a value of more than {self._limits[1]} characters", line)
        if self._work < 0:
            limit = self._limits[1] * _WORK_PER_OUTPUT
            self._exceeded(f"values of more than {limit} characters together", line)

    def work_on(self, value: Any, line: int) -> None:
        """A value of that size is about to be copied, compared or turned into text."""
        self.work(measure(value, self._limits[1]), line)

    def output(self, characters: int, line: int) -> None:
        """That many characters are about to be put out."""
        self._output -= characters
        if self._output < 0:
            self._exceeded(f"more than {self._limits[1]} characters of output", line)
