"""The no of an operation: words for the operator, the field they are about, and the way out."""

from __future__ import annotations

from enum import StrEnum


class Problem(StrEnum):
    """What kind of no it is; an API turns it into a status."""

    INVALID = "invalid"  # a value that cannot be accepted
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"  # something else has the name, or is in the way


class OperationError(Exception):
    """An operation that was refused and changed nothing.

    ``field`` names the member that is wrong as the JSON spells it; ``fix`` says what to do. Neither holds a secret.
    """

    def __init__(
        self, message: str, *, problem: Problem = Problem.INVALID, field: str | None = None, fix: str | None = None
    ) -> None:
        """Keep the parts apart: a page, a command and an API show them differently."""
        super().__init__(message)
        self.message = message
        self.problem = problem
        self.field = field
        self.fix = fix
