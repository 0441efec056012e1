"""``gohan-jobs show``: a record, read and written again."""

from __future__ import annotations

from typing import BinaryIO

import click

from gohan_jobs.codec import Spelling, dumps, loads
from gohan_jobs.redacted_records import redacted_text

__all__ = ["command"]


@click.command("show")
@click.argument("key")
@click.argument("file", type=click.File("rb"))
@click.option(
    "--spelling",
    type=click.Choice([spelling.value for spelling in Spelling]),
    default=Spelling.DOCUMENT.value,
    help="How the record is written.",
)
@click.option("--redact", is_flag=True, help="Mask what stands under secret keys.")
def command(key: str, file: BinaryIO, spelling: str, *, redact: bool) -> None:
    """Print the record that belongs at KEY, read from FILE in any spelling; - is standard input."""
    record = loads(key, file.read())
    click.echo(redacted_text(record, spelling) if redact else dumps(record, spelling))
