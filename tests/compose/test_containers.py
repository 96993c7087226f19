"""The container files: of the shape Compose reads, with settings and commands that exist."""

import re
from pathlib import Path
from typing import Any, Literal

import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel, ConfigDict, Field

from compose.local import archive
from compose.local.cli import hitweave
from compose.local.processes import QUEUES
from indexer.settings import Settings
from reranker.settings import Settings as ServingSettings

COMPOSE = Path(__file__).parents[2] / "compose"
PORT = re.compile(r"127\.0\.0\.1:\d+:\d+")
DURATION = r"^\d+(ms|s|m|h)$"


class Strict(BaseModel):
    """Part of the Compose specification as these files use it; a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid")


class Build(Strict):
    context: str
    dockerfile: str
    args: dict[str, str] = {}


class Health(Strict):
    test: list[str] = Field(min_length=2)
    interval: str = Field(pattern=DURATION)
    timeout: str = Field(pattern=DURATION)
    retries: int = Field(ge=1)
    start_period: str | None = Field(None, pattern=DURATION)


class Dependency(Strict):
    condition: Literal["service_started", "service_healthy", "service_completed_successfully"]
    required: bool = True


class Device(Strict):
    driver: str
    count: int | Literal["all"]
    capabilities: list[str] = Field(min_length=1)


class Reservations(Strict):
    devices: list[Device]


class Resources(Strict):
    reservations: Reservations


class Deploy(Strict):
    resources: Resources


class Service(Strict):
    image: str | None = None
    build: Build | None = None
    command: list[str] = []
    entrypoint: list[str] = []
    env_file: str | None = None
    environment: dict[str, str] = {}
    ports: list[str] = []
    volumes: list[str] = []
    depends_on: dict[str, Dependency] = {}
    healthcheck: Health | None = None
    restart: Literal["no", "always", "on-failure", "unless-stopped"] = "no"
    stop_grace_period: str | None = Field(None, pattern=DURATION)
    ulimits: dict[str, int] = {}
    profiles: list[str] = []
    deploy: Deploy | None = None


class Compose(Strict):
    name: str | None = None
    services: dict[str, Service]
    volumes: dict[str, None] = {}


def read(name: str) -> Compose:
    """One file with its anchors resolved; keys that begin with x- are extensions."""
    raw: dict[str, Any] = yaml.safe_load((COMPOSE / name).read_text())
    return Compose.model_validate({k: v for k, v in raw.items() if not k.startswith("x-")})


@pytest.fixture(scope="module")
def compose() -> Compose:
    return read("docker-compose.yml")


def settings_file() -> dict[str, str]:
    lines = (COMPOSE / "settings.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def known_settings() -> set[str]:
    fields = {*Settings.model_fields, *ServingSettings.model_fields}
    return {f"HITWEAVE_{name.upper()}" for name in fields}


def test_all_files_are_of_the_specification(compose: Compose) -> None:
    assert {"elasticsearch", "valkey", "sidecar"} <= {*compose.services}
    assert {*read("own-servers.yml").services} == {*compose.services}
    assert {*read("gpu.yml").services} <= {*compose.services}


def test_a_misspelt_key_would_be_found() -> None:
    with pytest.raises(ValueError, match="comand"):
        Service.model_validate({"image": "x", "comand": ["y"]})


def test_every_setting_in_the_files_is_a_setting(compose: Compose) -> None:
    used = {*settings_file()}
    beside = [*read("gpu.yml").services.values(), *read("own-servers.yml").services.values()]
    for service in (*compose.services.values(), *beside):
        used |= {name for name in service.environment if name.startswith("HITWEAVE_")}
    assert used
    assert used <= known_settings()


def test_every_value_in_the_settings_file_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_settings():
        monkeypatch.delenv(name, raising=False)
    for name, value in settings_file().items():
        monkeypatch.setenv(name, value)
    assert Settings().problems() == []
    assert ServingSettings().problems() == []
    assert Settings().elasticsearch_url == "http://elasticsearch:9200"


def test_addresses_name_services_that_exist(compose: Compose) -> None:
    hosts = {
        re.sub(r"^\w+://([\w-]+)[:/].*$", r"\1", value)
        for name, value in settings_file().items()
        if name.endswith("_URL")
    }
    assert hosts == {"elasticsearch", "valkey", "sidecar"}
    assert hosts <= {*compose.services}


def test_every_queue_has_one_worker(compose: Compose) -> None:
    queues = [
        service.command[service.command.index("--queues") + 1]
        for service in compose.services.values()
        if "--queues" in service.command
    ]
    assert sorted(queues) == sorted(QUEUES)


def test_every_command_exists_with_its_options(compose: Compose) -> None:
    lines = [service.command for service in compose.services.values()]
    lines += [s.healthcheck.test[1:] for s in compose.services.values() if s.healthcheck]
    ours = [line[1:] for line in lines if line and line[0] == "hitweave"]
    assert len(ours) == 10
    for name, *options in ours:
        usage = CliRunner().invoke(hitweave, [name, "--help"])
        assert usage.exit_code == 0
        assert all(option in usage.output for option in options if option.startswith("--"))


def test_ports_are_published_on_loopback_only(compose: Compose) -> None:
    published = [port for service in compose.services.values() for port in service.ports]
    assert len(published) == 3
    assert all(PORT.fullmatch(port) for port in published)


def test_everything_that_serves_has_a_health_check(compose: Compose) -> None:
    without = [n for n, s in compose.services.items() if not s.healthcheck and not s.profiles]
    assert not without


def test_dependencies_and_volumes_exist(compose: Compose) -> None:
    for service in compose.services.values():
        assert {*service.depends_on} <= {*compose.services}
        assert {volume.split(":")[0] for volume in service.volumes} <= {*compose.volumes}


def test_both_stacks_run_the_same_elasticsearch(compose: Compose) -> None:
    dockerfile = (COMPOSE / "elasticsearch.Dockerfile").read_text()
    assert f"FROM elasticsearch:{archive.ELASTICSEARCH_VERSION}\n" in dockerfile
    assert str(compose.services["elasticsearch"].image).endswith(archive.ELASTICSEARCH_VERSION)


def test_valkey_forgets_nothing_in_containers_either(compose: Compose) -> None:
    command = compose.services["valkey"].command
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--maxmemory-policy"] == "noeviction"
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"


def test_dockerfiles_copy_what_exists_and_extras_are_extras(compose: Compose) -> None:
    root = COMPOSE.parent
    builds = [s.build for s in (*compose.services.values(), *read("gpu.yml").services.values())]
    used = {(build.context, build.dockerfile) for build in builds if build}
    for context, dockerfile in used:
        text = (COMPOSE / context / dockerfile).read_text()
        copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE)
        assert all((root / path).exists() for line in copied for path in line.split())
    extras = {
        build.args["EXTRAS"].removeprefix("--extra ") for build in builds if build and build.args
    }
    declared = (root / "pyproject.toml").read_text()
    assert extras == {"worker", "train", "kafka"}
    assert all(re.search(rf"^{extra} = \[", declared, re.MULTILINE) for extra in extras)


def test_with_servers_of_ones_own_every_process_asks_them_and_none_is_started(
    compose: Compose,
) -> None:
    for name, service in read("own-servers.yml").services.items():
        if name in ("elasticsearch", "valkey"):
            assert service.profiles
            continue
        assert not any(it.required for it in compose.services[name].depends_on.values())
        bundle = service.environment["HITWEAVE_ELASTICSEARCH_CA_CERTS"]
        assert [volume.split(":")[-2:] for volume in service.volumes] == [[bundle, "ro"]]
        asked = ("ELASTICSEARCH_URL", "ELASTICSEARCH_API_KEY", "VALKEY_URL", "RULES_TOKEN")
        for setting in asked:
            assert service.environment[f"HITWEAVE_{setting}"].startswith(f"${{HITWEAVE_{setting}:")


def test_the_gpu_file_changes_only_the_embed_worker() -> None:
    assert [*read("gpu.yml").services] == ["worker-embed"]
    worker = read("gpu.yml").services["worker-embed"]
    assert worker.environment == {"HITWEAVE_DEVICE": "cuda"}
    assert worker.deploy
    assert "gpu" in worker.deploy.resources.reservations.devices[0].capabilities
