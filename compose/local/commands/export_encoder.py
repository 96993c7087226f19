"""`hitweave export-encoder MODEL OUT`: a transformers model as an ONNX folder, proved to agree."""

import time
from pathlib import Path
from urllib.parse import urlencode

import click
import orjson
from rich.console import Console

from indexer.embedding.specification import POOLINGS

PREFIX = "transformers:"


@click.command("export-encoder")
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--int8", is_flag=True, help="Also write a dynamically quantised int8 model.")
@click.option("--pooling", type=click.Choice(POOLINGS), help="How token states become one vector.")
@click.option("--query-prompt", help="What stands before each query.")
@click.option("--passage-prompt", help="What stands before each product text.")
@click.option("--dims", type=click.IntRange(min=1), help="Matryoshka cut of the vector.")
@click.option("--max-tokens", type=click.IntRange(min=1), help="A longer text is cut.")
@click.option("--revision", help="Commit, tag or branch of a model on the hub.")
def command(model: str, out: Path, *, int8: bool, **options: str | int | None) -> None:
    """Turn MODEL (a Hugging Face id or folder) into ONNX in the folder OUT.

    What is not given, the model's own files decide. The vectors of both are compared; nothing is
    kept where they do not agree. Then use it as encoder "onnx:OUT", without torch.
    """
    from indexer.embedding import export

    console = Console(stderr=True)
    started = time.monotonic()
    with console.status("") as status:
        exported = export.export(
            _specification(model, options), out.absolute(), int8=int8, report=status.update
        )
    console.print(f"cosine to the original: {exported.cosine:.6f}")
    if exported.cosine_int8 is not None:
        console.print(f"cosine of int8 to the original: {exported.cosine_int8:.4f}")
    summary = {
        "encoder": f"onnx:{exported.folder}",
        "revision": exported.revision,
        "dims": exported.dims,
        "cosine": exported.cosine,
        "cosine_int8": exported.cosine_int8,
        "seconds": round(time.monotonic() - started, 1),
    }
    click.echo(orjson.dumps(summary).decode())


def _specification(model: str, options: dict[str, str | int | None]) -> str:
    given = {name: value for name, value in options.items() if value is not None}
    name = model.removeprefix(PREFIX)
    return f"{PREFIX}{name}" + (f"?{urlencode(given)}" if given else "")
