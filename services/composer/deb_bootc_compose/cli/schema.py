"""`deb-bootc-compose schema`: the JSON Schema of a treefile."""

import typer

from deb_bootc_compose.treefile.schema import schema_text

app = typer.Typer()


@app.command()
def schema() -> None:
    """Print the JSON Schema of a treefile, for editors that complete and check while one types."""
    print(schema_text(), end="")  # noqa: T201
