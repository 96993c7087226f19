"""The `hitweave` command: finds subcommands by name, the stack's addresses, and words for errors.

Imports nothing heavy: `hitweave --help` must answer at once.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from compose.local.home import DEFAULT_HOME, Home
from indexer.errors import CouldNotReach, HitweaveError

# Said here too, so that `hitweave --help` imports none of them.
COMMANDS = {
    "up": "Start the local stack: Elasticsearch, Valkey, workers, sidecar.",
    "down": "End the local stack; its data stays.",
    "status": "Show which parts of the stack are up.",
    "doctor": "Check settings, servers, versions and models; say what to do.",
    "create": "Make an index, or add what is missing to one of your own.",
    "catalogue": "Index products from JSONL or CSV.",
    "events": "Import shopper behaviour (UBI events and queries).",
    "consume": "Take shopper behaviour out of Kafka, in the foreground.",
    "train": "Learn a fusion model from behaviour; promote it if it is better.",
    "policy": "Learn a slate policy for the long run; promote it if the log says it earns more.",
    "tune": "Search settings of training within a time budget.",
    "evaluate": "Measure the serving path against judgements.",
    "export": "Write catalogue, journal or training lists as a Parquet file.",
    "export-ltr": "Distil the serving model for Elastic's Learning to Rank.",
    "export-plugin": "Write the serving model for the plugin, to work without a sidecar.",
    "offpolicy": "Judge a policy from choices that another one logged.",
    "experiments": "Compare arms on live traffic; plan and report.",
    "models": "List, promote and roll back models.",
    "search": "Search from a terminal.",
    "recommend": "Recommend from a terminal.",
    "erase-user": "Remove a person everywhere.",
    "serve": "Run one sidecar in the foreground, for other deployments.",
    "worker": "Run one Celery worker in the foreground, for other deployments.",
    "export-encoder": "Turn a transformers model into ONNX.",
    "demo": "The whole way on a sample shop.",
    "bench": "Measure speed against the bare node.",
}
WITHOUT_ADDRESSES = frozenset({"up"})  # it decides on them
# These must work whatever the settings say, or become another program that sets up its own logs.
WITHOUT_LOGS = frozenset({"up", "down", "status", "doctor", "serve", "worker"})
HOME_VARIABLE = "HITWEAVE_HOME"


class Commands(click.Group):
    """Subcommands are modules of compose.local.commands, imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click calls it
        """The commands that exist."""
        return [name for name in COMMANDS if importlib.util.find_spec(_module(name))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None where there is none of that name."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(_module(cmd_name)).command
        _show_home_option(command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Names and their line, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name]) for name in self.list_commands(ctx)])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take --home out wherever it stands."""
        rest, home = take_home(args)
        os.environ[HOME_VARIABLE] = str(Home(Path(home or _home_from_environment())).folder)
        return super().parse_args(ctx, rest)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and let it and its settings know the stack's addresses."""
        if args and args[0] not in WITHOUT_ADDRESSES:
            for name, value in Home(Path(os.environ[HOME_VARIABLE])).environment().items():
                os.environ.setdefault(name, value)
        if args and args[0] in COMMANDS and not ({*args} & {"-h", "--help"}):
            _configure_logs(args[0])
        return super().resolve_command(ctx, args)


def take_home(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments without --home, and its value; nothing after `--` is touched."""
    rest: list[str] = []
    home = None
    waiting = iter(arguments)
    for argument in waiting:
        if argument == "--":
            rest += [argument, *waiting]
        elif argument == "--home":
            home = next(waiting, None)
            if home is None:
                raise click.UsageError("Option '--home' requires a folder.")
        elif argument.startswith("--home="):
            home = argument.removeprefix("--home=")
        else:
            rest.append(argument)
    return rest, home


def _home_from_environment() -> str:
    return os.environ.get(HOME_VARIABLE) or DEFAULT_HOME


def _configure_logs(command: str) -> None:
    """Send logs to stderr; raises InvalidSettings where the settings cannot work."""
    if command in WITHOUT_LOGS:
        return
    from indexer import settings, telemetry

    telemetry.configure(settings.load())


def _module(command: str) -> str:
    return f"compose.local.commands.{command.replace('-', '_')}"


def _home_option() -> click.Option:
    return click.Option(
        ["--home"],
        metavar="DIR",
        expose_value=False,
        help="Folder of the local stack, before or after the command "
        f"[env: {HOME_VARIABLE}; default: {DEFAULT_HOME}].",
    )


def _show_home_option(command: click.Command) -> None:
    """Only for --help: the value was taken before."""
    if not any("--home" in parameter.opts for parameter in command.params):
        command.params.append(_home_option())


@click.command(
    cls=Commands,
    params=[_home_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="hitweave", prog_name="hitweave")
def hitweave() -> None:
    """AI fusion search for Elasticsearch.

    Start with `hitweave up`; `hitweave COMMAND --help` explains each command.
    """


def main() -> None:
    """Run the command line; errors of ours become one line and their exit code."""
    try:
        hitweave.main(standalone_mode=True)
    except HitweaveError as error:
        click.echo(f"hitweave: {error.message}", err=True)
        sys.exit(error.exit_code)
    except Exception as error:
        message = _denial(error) or (unreachable_message(error) if _is_unreachable(error) else None)
        if message is None:
            raise
        click.echo(f"hitweave: {message}", err=True)
        sys.exit(CouldNotReach.exit_code)


def _denial(error: Exception) -> str | None:
    """What Elasticsearch does not let us do, and what to do; None for any other error."""
    if not _is_one_of(error, "elasticsearch.ApiError"):
        return None
    from elasticsearch import ApiError

    from indexer.connections import denial

    denied = denial(error) if isinstance(error, ApiError) else None
    return None if denied is None else denied.message


def _is_unreachable(error: Exception) -> bool:
    """Whether a client library gave up on a server; without importing those libraries."""
    return _is_one_of(error, "elastic_transport.ConnectionError", "redis.ConnectionError")


def _is_one_of(error: Exception, *kinds: str) -> bool:
    names = {f"{kind.__module__.split('.')[0]}.{kind.__name__}" for kind in type(error).__mro__}
    return not names.isdisjoint(kinds)


def unreachable_message(error: Exception) -> str:
    """Which server it was, and what to do."""
    server = "Valkey" if type(error).__module__.startswith("redis") else "Elasticsearch"
    return f"{server} does not answer ({type(error).__name__}): `hitweave status` shows what is up"


if __name__ == "__main__":
    main()
