"""The `curate` command: parse, pick the plug-ins that the config names, call a verb, print."""

import sys

if __name__ == "__main__" and not sys.flags.safe_path and sys.path[0] != __file__.rpartition("/")[0]:
    del sys.path[0]  # `python -m cli` puts the current folder first: what lies there is no part of this

import importlib.util

if importlib.util.find_spec("fcntl") is None:
    sys.exit("curate: needs Linux or macOS: on Windows no verb runs (the Windows Subsystem for Linux is Linux)")

import errno
import gc
import json
import logging
import os
import traceback
from typing import TYPE_CHECKING, Any

import typer
from typer.exceptions import TyperException

from curate import ending
from curate.commands import (
    admin,
    check,
    dedupe,
    demo,
    estimate,
    evaluate,
    fetch,
    functions,
    keys,
    label,
    people,
    predict,
    release,
    report,
    review,
    run,
    screening,
    streams,
    takedown,
    taxonomy,
    train,
    verify,
)
from curate.commands.app import OPTIONS, app
from curate.errors import FULL, CurateError, UsageError, of_system
from curate.layouts.folder import shown
from curate.progress import tell

if TYPE_CHECKING:
    pass

for _command in (
    admin.init, admin.new, fetch.fetch, dedupe.dedupe, label.label, functions.functions, taxonomy.relabel,
    people.queue, review.review, people.adjudicate, estimate.estimate, release.export, release.diff, release.hydrate,
    train.train, predict.predict, run.run, check.check, admin.status, report.report, admin.log, screening.quarantine,
    takedown.takedown, release.share, verify.verify, admin.doctor, demo.demo,
):  # fmt: skip
    app.command()(_command)
app.command("eval")(evaluate.evaluate)
for _name, _group in (
    ("sources", fetch.group), ("screening", screening.group), ("decisions", people.decisions),
    ("taxonomy", taxonomy.taxonomy), ("keys", keys.group),
):  # fmt: skip
    app.add_typer(_group, name=_name)

__all__ = ["app", "main"]


def main() -> None:
    """Run the command; one line for what a user can act on, a traceback for anything else."""
    os.umask(0o077)  # what is made here is the operator's own
    streams.stand()
    logging.basicConfig(format="%(message)s", handlers=[_Warnings()])
    gc.set_threshold(50_000)  # what is imported stays: no use in looking for garbage in it a hundred times
    try:
        with ending.watched():
            code = app(standalone_mode=False) or 0
            if code == ending.INTERRUPTED:  # what Typer makes of it
                raise KeyboardInterrupt
            sys.stdout.flush()
            sys.exit(code)
    except (KeyboardInterrupt, typer.Abort):  # first: one of the tree is a KeyboardInterrupt, too
        tell(ending.SAID)
        sys.exit(ending.INTERRUPTED)
    except CurateError as error:
        if {"-v", "--verbose"} & set(sys.argv):
            traceback.print_exc()
        tell(f"curate: {shown(str(error))}")
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in FULL | {errno.EPIPE}:
            raise
        if error.errno != errno.EPIPE:  # else whoever reads has seen enough
            tell(f"curate: {shown(str(of_system(error)))}")
        sys.exit(CurateError.exit_code)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # Typer's own, which it exports nowhere
            tell(error.format_message())
        else:
            tell(f"curate: {shown(_wording(error))}; `--help` says what there is")
            if "--json" in sys.argv:
                print(json.dumps({"error": _wording(error), "exit": UsageError.exit_code}))
        sys.exit(UsageError.exit_code)
    finally:
        streams.settle()
        gc.freeze()  # the process ends: nobody needs to know what of its memory is garbage


def _wording(error: TyperException) -> str:
    """What is wrong with the command line, in words of ours where Typer's are a parser's."""
    said = error.format_message().rstrip(".")
    given = sys.argv[1] if len(sys.argv) > 1 else ""
    if said.startswith("No such option") and given.partition("=")[0] in OPTIONS:
        return f"{given} goes behind the verb: curate VERB {given} ..."
    return (
        said.partition("Input should be a valid integer")[0] + "a whole number is wanted" if "integer" in said else said
    )


class _Warnings(logging.StreamHandler[Any]):
    """What verbs warn of, on stderr, a line each; nothing that strangers wrote is obeyed by a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """The message, escaped; with its traceback where it has one."""
        return shown(super().format(record)) if record.exc_info is None else super().format(record)


if __name__ == "__main__":
    main()
