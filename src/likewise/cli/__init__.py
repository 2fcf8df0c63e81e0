"""The command line: `likewise <command>`. Here: the commands' list, and how an error becomes one line and an exit code.

The commands are in the modules beside this one; what they do is in the library. Heavy imports (the HTTP server, rich,
pyarrow) wait until a command needs them, because `likewise count` should answer at once.
"""

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from .. import __version__
from ..errors import LikewiseError
from . import care, copies, data, files, serve

INTERRUPTED = 130
"""128 + SIGINT, as a shell reports it."""

BROKEN_PIPE = 141


class _Group(TyperGroup):
    """Runs a command. What goes wrong in an expected way is one line on stderr, never a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # Whoever read our output has gone (`likewise export | head`). Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(BROKEN_PIPE) from None
        except LikewiseError as error:
            raise _failed(str(error)) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename is not None else ""
            raise _failed(where + (error.strerror or str(error))) from error
        except KeyboardInterrupt:
            typer.echo("interrupted", err=True)
            raise typer.Exit(INTERRUPTED) from None
        return result


def _failed(message: str) -> typer.Exit:
    typer.echo(f"likewise: {message}", err=True)
    return typer.Exit(1)


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"likewise {__version__}")
        raise typer.Exit


@app.callback()
def likewise(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Who likes what, how many, exactly once.

    Commands work on a file (--store sqlite:likes.db, the default) or, with --url, on a running server.
    """


app.command()(serve.serve)
app.command()(data.like)
app.command()(data.unlike)
app.command()(data.count)
app.command()(data.status)
app.command()(data.likers)
app.command()(data.likes)
app.command("import")(files.import_)
app.command()(files.export)
app.command()(data.forget_user)
app.command()(data.forget_item)
app.command()(copies.backup)
app.command()(copies.restore)
app.command()(copies.move)
app.command()(care.verify)
app.command()(care.doctor)
app.command()(care.bench)


def main() -> None:
    """The entry point of the `likewise` script."""
    app(prog_name="likewise")
