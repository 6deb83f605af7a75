"""How a command fails: what the person reads, and the exit code that the shell reads."""

from typing import Final

FAILED: Final = 1
WRONG_USAGE: Final = 2
INTERRUPTED: Final = 130


class CommandFailedError(Exception):
    """A command that could not do its work; ``fix`` says what to do about it."""

    def __init__(
        self, message: str, *, fix: str | None = None, field: str | None = None, exit_code: int = FAILED
    ) -> None:
        """Keep what the person reads and what the shell reads."""
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.field = field
        self.exit_code = exit_code

    def problem(self) -> dict[str, str | None]:
        """Return the members of an RFC 9457 problem."""
        title = "Wrong usage" if self.exit_code == WRONG_USAGE else "Failed"
        return {"title": title, "detail": self.message, "field": self.field, "fix": self.fix}
