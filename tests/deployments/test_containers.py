"""Container and cluster files: they load, are pinned and hardened, and name only what exists.

No container engine is needed: these are checks of structure. docs/scaling.md tells what was run.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from anc_core.settings import known_names
from anc_core.version import __version__
from deployments.schedules import POOL
from flows.cli import cli

ROOT = Path(__file__).parents[2]
CONTAINERS = ROOT / "deployments" / "containers"
KUBERNETES = ROOT / "deployments" / "kubernetes"
COMPOSE = yaml.safe_load((CONTAINERS / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
CONTAINERFILE = (CONTAINERS / "Containerfile").read_text(encoding="utf-8")
MANIFESTS = [
    document
    for path in sorted(KUBERNETES.glob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8"))
]
WORKLOADS = [one for one in MANIFESTS if one["kind"] == "Deployment"]
SECRETS = {"POSTGRES_PASSWORD", "ANC_DB_PASSWORD", "PREFECT_DB_PASSWORD"}
"""Of compose.yaml and its database, not of the platform."""

every_service = pytest.mark.parametrize("name", SERVICES)
every_workload = pytest.mark.parametrize(
    "workload", WORKLOADS, ids=lambda one: one["metadata"]["name"]
)


def pod_of(workload: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = workload["spec"]["template"]["spec"]
    return found


def commands() -> Iterator[list[str]]:
    """Return what the containers run."""
    yield from (one["command"] for one in SERVICES.values() if "command" in one)
    yield from (one["args"] for work in WORKLOADS for one in pod_of(work)["containers"])
    yield yaml.safe_load(re.findall(r"^CMD (\[.*\])$", CONTAINERFILE, re.MULTILINE)[0])


def test_the_files_hold_what_they_should() -> None:
    assert set(SERVICES) == {"database", "server", "worker"}
    assert {one["metadata"]["name"] for one in WORKLOADS} == {"anc-server", "anc-worker"}
    assert "CronJob" not in {one["kind"] for one in MANIFESTS}  # the server has the schedules


def test_every_image_is_pinned_to_a_version() -> None:
    images = [one["image"] for one in SERVICES.values()]
    images += [one["image"] for work in WORKLOADS for one in pod_of(work)["containers"]]
    images += re.findall(r"^ARG PYTHON_IMAGE=(\S+)$", CONTAINERFILE, re.MULTILINE)
    assert len(images) >= 6
    for image in images:
        assert re.search(r":\d+\.\d+", image), image
    ours = {image for image in images if image.startswith("anc:")}
    assert ours == {f"anc:{__version__}"}


def test_every_installation_in_the_image_is_constrained() -> None:
    installations = re.findall(r"pip install.*", CONTAINERFILE)
    assert len(installations) == 2
    assert all("-c constraints.txt" in one for one in installations)


def test_what_the_image_copies_is_let_through_and_exists() -> None:
    allowed = {
        line[1:]
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    }
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)$", CONTAINERFILE, re.MULTILINE)
        for word in line.split()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


def test_the_extras_of_the_image_exist() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = re.findall(r'"\.\[([a-z,]+)\]"', CONTAINERFILE)[0].split(",")
    assert set(extras) <= set(project["optional-dependencies"])


def test_an_installed_wheel_has_the_models_where_they_are_looked_for() -> None:
    import tomllib

    from anc_core.bundles import registry

    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]
    inside = hatch["build"]["targets"]["wheel"]["force-include"]["models"]
    looked_for = Path(registry.__file__).parent.parent / "_models"
    assert looked_for == ROOT / inside


def test_commands_of_anc_parse_and_workers_use_our_pool() -> None:
    found = list(commands())
    assert len(found) == 5
    for words in found:
        if words[0] == "anc":
            given = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", word) for word in words]
            parent = cli.make_context("anc", [], resilient_parsing=True)
            command = cli.get_command(parent, given[1])
            assert command is not None
            command.make_context(given[1], given[2:], parent=parent)
        else:
            assert words[:3] == ["prefect", "worker", "start"]
            assert words[words.index("--pool") + 1] == POOL


def test_options_of_prefects_worker_exist() -> None:
    import inspect

    from prefect.cli import worker

    source = inspect.getsource(worker)
    options = {word for words in commands() for word in words if words[0] == "prefect"}
    for option in (word for word in options if word.startswith("--")):
        assert f'"{option}"' in source, option


def environments() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, service in SERVICES.items():
        yield name, service.get("environment", {})
    for one in MANIFESTS:
        if one["kind"] in {"ConfigMap", "Secret"}:
            yield one["kind"], one.get("data", {}) | one.get("stringData", {})
    for work in WORKLOADS:
        for one in pod_of(work)["containers"]:
            yield work["metadata"]["name"], {e["name"]: e.get("value") for e in one.get("env", [])}


def test_every_variable_is_a_setting_of_ours_or_of_prefect() -> None:
    import prefect.settings

    for where, environment in environments():
        for name in environment:
            if name.startswith("ANC_") and name not in SECRETS:
                assert name in known_names(), f"{where}: {name}"
            elif name.startswith("PREFECT_") and name not in SECRETS:
                assert hasattr(prefect.settings, name), f"{where}: {name}"


def test_values_are_text_as_kubernetes_asks() -> None:
    for where, environment in environments():
        for name, value in environment.items():
            assert value is None or isinstance(value, str), f"{where}: {name}"


def test_every_variable_of_compose_is_in_the_example() -> None:
    text = (CONTAINERS / "compose.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\{([A-Z_]+)", text))
    example = (CONTAINERS / "env.example").read_text(encoding="utf-8")
    assert used == set(re.findall(r"^([A-Z_]+)=", example, re.MULTILINE))


def test_no_password_is_in_a_file() -> None:
    example = (CONTAINERS / "env.example").read_text(encoding="utf-8")
    assert all(re.search(rf"^{name}=$", example, re.MULTILINE) for name in SECRETS)
    secret = next(one for one in MANIFESTS if one["kind"] == "Secret")
    for name, value in secret["stringData"].items():
        assert value == "" or "CHANGE-ME" in value, name


@every_service
def test_a_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])
    if name != "database":
        assert service["user"] == "10001:10001"
        assert "cap_add" not in service


def test_only_the_server_is_published_and_on_this_machine_only() -> None:
    assert {name for name, one in SERVICES.items() if "ports" in one} == {"server"}
    assert all(port.startswith("127.0.0.1:") for port in SERVICES["server"]["ports"])
    assert SERVICES["database"]["networks"] == ["inside"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}


def test_what_others_wait_for_is_asked_often() -> None:
    # The image asks every five minutes: too seldom for a start.
    for service in SERVICES.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert wanted == {"condition": "service_healthy"}
            assert SERVICES[name]["healthcheck"]["interval"] == "10s"


def test_volumes_and_networks_that_are_used_are_declared() -> None:
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        named = {v.split(":")[0] for v in service["volumes"] if v[0].isalpha()}
        assert named <= set(COMPOSE["volumes"])


def test_recordings_are_never_writable() -> None:
    for name in ("server", "worker"):
        assert any(v.endswith(":/recordings:ro") for v in SERVICES[name]["volumes"])
    for work in WORKLOADS:
        mounts = {m["name"]: m for m in pod_of(work)["containers"][0]["volumeMounts"]}
        assert mounts["recordings"]["readOnly"] is True


@every_workload
def test_a_pod_fits_the_restricted_standard(workload: dict[str, Any]) -> None:
    pod = pod_of(workload)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in pod["containers"]:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert set(container["resources"]) == {"requests", "limits"}


@every_workload
def test_a_workload_is_consistent(workload: dict[str, Any]) -> None:
    spec = workload["spec"]
    assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
    claims = {o["metadata"]["name"] for o in MANIFESTS if o["kind"] == "PersistentVolumeClaim"}
    maps = {o["metadata"]["name"] for o in MANIFESTS if o["kind"] == "ConfigMap"}
    secret = next(one for one in MANIFESTS if one["kind"] == "Secret")
    pod = pod_of(workload)
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for volume in volumes.values():
        if "persistentVolumeClaim" in volume:
            assert volume["persistentVolumeClaim"]["claimName"] in claims
    for container in pod["containers"]:
        assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        ports = {port["name"] for port in container["ports"]}
        for probe in ("startupProbe", "livenessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
        for source in container["envFrom"]:
            if "configMapRef" in source:
                assert source["configMapRef"]["name"] in maps
        for one in container.get("env", []):
            if "valueFrom" in one:
                assert one["valueFrom"]["secretKeyRef"]["key"] in secret["stringData"]


def test_workers_do_not_get_prefects_database() -> None:
    worker = next(one for one in WORKLOADS if one["metadata"]["name"] == "anc-worker")
    sources = pod_of(worker)["containers"][0]["envFrom"]
    assert all("secretRef" not in source for source in sources)
    assert "PREFECT_SERVER_DATABASE_CONNECTION_URL" not in SERVICES["worker"]["environment"]


def test_there_is_one_server_even_during_an_update() -> None:
    server = next(one for one in WORKLOADS if one["metadata"]["name"] == "anc-server")
    assert server["spec"]["replicas"] == 1
    assert server["spec"]["strategy"] == {"type": "Recreate"}
    service = next(one for one in MANIFESTS if one["kind"] == "Service")
    assert service["spec"]["selector"] == server["spec"]["selector"]["matchLabels"]


def test_kustomization_names_the_files_that_are_there() -> None:
    text = (KUBERNETES / "kustomization.yaml").read_text(encoding="utf-8")
    kustomization = yaml.safe_load(text)
    assert kustomization["images"] == [{"name": "anc", "newTag": __version__}]
    named = set(kustomization["resources"])
    there = {path.name for path in KUBERNETES.glob("*.yaml")}
    assert named == there - {"kustomization.yaml", "secret.example.yaml"}


@pytest.mark.parametrize("version", ["1.29.0", "1.37.0"])
def test_the_manifests_fit_the_schemas_of_kubernetes(version: str) -> None:
    """Its package holds the schemas of all versions, 110 MB: tried where somebody installed it."""
    reason = "pip install kubernetes-validate to check the manifests"
    schemas = pytest.importorskip("kubernetes_validate", reason=reason)
    checked = [one for one in MANIFESTS if one["kind"] != "Kustomization"]
    assert len(checked) == len(MANIFESTS) - 1
    for manifest in checked:
        schemas.validate(manifest, version, strict=True)


def test_the_image_runs_as_nobody_special_and_asks_for_its_health() -> None:
    last = CONTAINERFILE.rpartition("\nFROM ")[2]
    assert "USER 10001:10001" in last
    assert "HEALTHCHECK" in last
    assert "anc health" in last


def test_the_database_script_can_be_run() -> None:
    script = CONTAINERS / "postgres-init.sh"
    assert script.stat().st_mode & stat.S_IXUSR
    assert "CREATE EXTENSION IF NOT EXISTS pg_trgm" in script.read_text(encoding="utf-8")
