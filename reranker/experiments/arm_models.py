"""Whether the models are there that an experiment's arms ask for; reads the registry's folder."""

from pathlib import Path

from indexer.errors import InvalidRequest
from reranker.experiments.experiment import Experiment
from reranker.fusion.registry import Registry


def check_models(experiment: Experiment, models_dir: Path) -> None:
    """Raise InvalidRequest for an arm whose model the index has not."""
    wanted = {arm.model: arm.name for arm in experiment.arms if arm.model is not None}
    if not wanted:
        return
    known = [manifest.version for manifest in Registry(models_dir, experiment.index).versions()]
    for version, arm in wanted.items():
        if version not in known:
            raise InvalidRequest(
                f"arm {arm} asks for the model {version!r}, which {experiment.index!r} has not "
                f"(there are: {', '.join(known) or 'none'})"
            )
