"""What people and scripts read: JSON documents, tables, sheets of facts, humanised times and sizes.

Belongs here: form. Does not belong here: any call of a service, and what a command has to say.
"""

from deborch_cli.output.cells import Age, Cell, Digest, Duration, Identity, Size, State, Url
from deborch_cli.output.printer import confirm, emit, emit_line, emit_text, note
from deborch_cli.output.tables import Sheet, Table

__all__ = [
    "Age", "Cell", "Digest", "Duration", "Identity", "Sheet", "Size", "State", "Table", "Url",
    "confirm", "emit", "emit_line", "emit_text", "note",
]  # fmt: skip
