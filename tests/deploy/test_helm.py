"""deploy/helm/values.yaml agrees with what it deploys. It is not rendered here: the chart is not at hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ecr_audit.settings import Settings
from support.documents import read_template, read_yaml

ROOT = Path(__file__).resolve().parents[2]
VALUES: dict[str, Any] = read_yaml(ROOT / "deploy/helm/values.yaml")
EXECUTION_API = ROOT / "deploy/helm/execution-api.yaml"
COMPOSE: dict[str, Any] = read_yaml(ROOT / "docker-compose.yaml")


def test_the_chart_gets_the_locked_airflow() -> None:
    lock = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    assert [VALUES["airflowVersion"]] == re.findall(r"^apache-airflow==(\S+)", lock, flags=re.MULTILINE)


# The parts that have settings of their own.
TASKS, PAGES, CALLBACKS = VALUES["workers"]["kubernetes"], VALUES["apiServer"], VALUES["dagProcessor"]


def settings(part: dict[str, Any]) -> dict[str, Any]:
    """The audit's settings of a part: its own, and those of all."""
    given = {each["name"]: each.get("value") for each in (*VALUES["env"], *part.get("env", ()))}
    return {name: value for name, value in given.items() if name.startswith("ECR_AUDIT_")}


def test_pods_share_the_lake_the_publications_and_the_logs_in_one_bucket() -> None:
    """The hub role is given one, which docs/deploy.md says holds nothing else, at the places that its template has."""
    given = settings(TASKS)
    logs = VALUES["config"]["logging"]["remote_base_log_folder"]
    places = (given["ECR_AUDIT_LAKE"], given["ECR_AUDIT_PUBLISH"], logs)
    assert {place.rpartition("/")[0] for place in places} == {"s3://<bucket>"}
    template = read_template(ROOT / "deploy/cloudformation/hub-role.yaml")["Parameters"]
    prefixes = [template[f"{name}Prefix"]["Default"] for name in ("Lake", "Publish", "Logs")]
    assert [place.rpartition("/")[2] for place in places] == prefixes
    [said] = re.findall(r"holds nothing else than ([^.]*)\.", (ROOT / "docs/deploy.md").read_text(encoding="utf-8"))
    assert re.findall(r"`(\w+)`", said) == [
        "ECR_AUDIT_LAKE",
        "ECR_AUDIT_PUBLISH",
        "remote_base_log_folder",
        "ECR_AUDIT_WAIVERS",
    ]


def test_settings_are_known_and_each_part_has_its_own() -> None:
    ours = [name.removeprefix("ECR_AUDIT_").lower() for part in (TASKS, PAGES, CALLBACKS) for name in settings(part)]
    assert {*ours} <= Settings.model_fields.keys()
    assert settings(PAGES).keys() == {"ECR_AUDIT_PUBLISH", "ECR_AUDIT_DATA"}
    assert settings(CALLBACKS).keys() == {"ECR_AUDIT_PUBLISH", "ECR_AUDIT_DATA", "ECR_AUDIT_LAKE"}
    assert settings(TASKS)["ECR_AUDIT_LAKE"] == settings(CALLBACKS)["ECR_AUDIT_LAKE"]
    # The external id comes from a Secret, and to the tasks alone. The chart takes valueFrom in a part's env, and not
    # in the one for all.
    secret = [each["name"] for part in (TASKS, PAGES, CALLBACKS) for each in part["env"] if "valueFrom" in each]
    assert secret == ["ECR_AUDIT_EXTERNAL_ID"]
    assert "secret" not in VALUES
    assert all(each.keys() == {"name", "value"} for each in VALUES["env"])


def test_pods_get_no_variables_of_services() -> None:
    """Which for a release called ecr-audit would begin like the audit's settings. A value of the chart from 1.22 on."""
    assert VALUES["enableServiceLinks"] is False


def test_pods_are_hardened() -> None:
    pod, container = VALUES["securityContexts"]["pod"], VALUES["securityContexts"]["containers"]
    assert (pod["runAsNonRoot"], pod["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert (container["readOnlyRootFilesystem"], container["allowPrivilegeEscalation"]) == (True, False)
    assert container["capabilities"] == {"drop": ["ALL"]}
    # Files that are written nevertheless.
    written = {each["mountPath"] for each in (*VALUES["volumeMounts"], *PAGES["extraVolumeMounts"])}
    assert written == {"/tmp", "/opt/airflow/logs"}
    assert settings(TASKS)["ECR_AUDIT_DATA"].startswith("/tmp/")


def test_only_the_scheduler_gets_a_token_for_the_cluster() -> None:
    parts = [TASKS, PAGES, CALLBACKS, *(VALUES[name] for name in ("triggerer", "migrateDatabaseJob", "statsd"))]
    assert [part["serviceAccount"]["automountServiceAccountToken"] for part in parts] == [False] * 6
    assert "serviceAccount" not in VALUES["scheduler"]
    assert PAGES["allowPodLogReading"] is False


def test_the_web_server_is_reached_by_the_ingress_alone() -> None:
    """With policies on and nobody named, the chart lets nobody in."""
    assert VALUES["networkPolicies"] == {"enabled": True}
    [outer] = PAGES["networkPolicy"]["ingress"]["from"]
    assert "namespaceSelector" in outer
    assert "--proxy-headers" in PAGES["args"][-1]
    assert "FORWARDED_ALLOW_IPS" in {each["name"] for each in PAGES["env"]}


def test_tasks_ask_a_service_of_its_own() -> None:
    """Which the chart's 1.22 does not have. They ask where it listens, and the UI's server does not answer them."""
    deployment, service, policy = yaml.safe_load_all(EXECUTION_API.read_text(encoding="utf-8"))
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    port = service["spec"]["ports"][0]["port"]
    asked = VALUES["config"]["core"]["execution_api_server_url"]
    assert asked == f"http://{service['metadata']['name']}:{port}/execution/"
    assert container["args"] == ["airflow", "api-server", "--apps", "execution"]
    assert container["args"][-1] in COMPOSE["services"]["execution-api"]["command"]
    assert "--apps core" in PAGES["args"][-1]
    assert "--apps core" in COMPOSE["services"]["api-server"]["command"]
    # The same image, keys and hardening as the chart's own pods.
    given = VALUES["images"]["airflow"]
    assert {each["image"] for each in (container, *pod["spec"]["initContainers"])} == {
        f"{given['repository']}:{given['tag']}"
    }
    secrets = {each["valueFrom"]["secretKeyRef"]["name"] for each in container["env"] if "valueFrom" in each}
    assert secrets == {VALUES["data"]["metadataSecretName"]}
    assert pod["spec"]["securityContext"] == VALUES["securityContexts"]["pod"]
    assert container["securityContext"] == VALUES["securityContexts"]["containers"]
    assert (pod["spec"]["automountServiceAccountToken"], pod["spec"]["enableServiceLinks"]) == (False, False)
    # Reached by Airflow's own pods, and nobody else.
    selectors = (
        deployment["spec"]["selector"],
        {"matchLabels": service["spec"]["selector"]},
        policy["spec"]["podSelector"],
    )
    assert all(selector == {"matchLabels": pod["metadata"]["labels"]} for selector in selectors)
    [rule] = policy["spec"]["ingress"]
    assert rule["from"] == [{"podSelector": {"matchLabels": {"tier": "airflow", "release": "ecr-audit"}}}]
    assert rule["ports"] == [{"port": container["ports"][0]["containerPort"]}]


def test_the_database_is_prepared_as_in_compose() -> None:
    [program] = re.findall(r"/opt/airflow/(bin/\S+)", VALUES["migrateDatabaseJob"]["args"][-1])
    assert program in COMPOSE["services"]["init"]["command"]
    assert (ROOT / program).is_file()


def test_airflow_gets_the_settings_of_compose() -> None:
    configured = {f"AIRFLOW__{section}__{key}".upper() for section, keys in VALUES["config"].items() for key in keys}
    configured |= {each["name"] for each in VALUES["env"]}
    by_compose = COMPOSE["x-airflow-settings"].keys() | {
        name for name, value in COMPOSE["x-watch-settings"].items() if value is not None
    }
    missing = by_compose - configured - {"AIRFLOW__CORE__EXECUTOR"}
    assert [name for name in missing if not name.startswith("AIRFLOW__CELERY__")] == []


def test_no_secret_is_made_up_or_written_down() -> None:
    names = ("fernetKeySecretName", "apiSecretKeySecretName", "jwtSecretName")
    assert all(VALUES[name] == "ecr-audit-keys" for name in names)
    assert VALUES["data"] == {"metadataSecretName": "ecr-audit-keys"}
    assert VALUES["createUserJob"] == {"enabled": False}


def test_all_that_reads_or_sends_on_aws_has_a_role_of_its_own() -> None:
    """Tasks, pages, and the callbacks that send alerts: the document makes the roles and associates them."""
    document = (ROOT / "docs/scale-out.md").read_text(encoding="utf-8")
    associated = re.findall(r"--service-account (\S+) --role-arn (\S+)", document)
    names = [part["serviceAccount"]["name"] for part in (TASKS, PAGES, CALLBACKS)]
    assert [account for account, _ in associated] == names
    assert len({role for _, role in associated}) == 3
    # By the tags that EKS gives their sessions, whose names are those of the accounts.
    hub, reader = (
        read_template(ROOT / f"deploy/cloudformation/{name}-role.yaml")["Parameters"] for name in ("hub", "reader")
    )
    assert (hub["PodServiceAccount"]["Default"], reader["RoleName"]["Default"]) == (names[0], names[1])
    assert "--disable-session-tags" not in document
    # Without it the chart leaves the name unread: its default there is to make none.
    assert TASKS["serviceAccount"]["create"] is True
