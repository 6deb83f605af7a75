"""Options that several commands have."""

from typing import Annotated, TypeAlias

import typer

Yes: TypeAlias = Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")]
DryRun: TypeAlias = Annotated[bool, typer.Option("--dry-run", help="Say what would happen, and change nothing.")]
