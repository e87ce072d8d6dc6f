"""The Makefile's targets, run with stand-ins for the programs of the environment: what they are given."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")

# Records its arguments, its umask, and the settings of Airflow in its environment.
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $* umask $(umask) $(env | grep -E '^(AIRFLOW__|ECR_AUDIT_)' | sort | tr '\\n' ' ')" >> "$CALLS"
"""


class Checkout:
    """A folder with the Makefile and an environment that is up to date, so that nothing is installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copy(ROOT / "Makefile", folder)
        for name in ("requirements.txt", "requirements-uv.txt", "bi/superset/requirements.txt"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        for environment, mark in ((".venv", ".audit"), (".venv-superset", ".installed")):
            (folder / environment / "bin").mkdir(parents=True)
            (folder / environment / mark).touch()
            for program in ("python", "airflow", "duckdb", "uvx"):
                self.program(f"{environment}/bin/{program}", STAND_IN)

    def program(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text, encoding="utf-8")
        (self.folder / path).chmod(0o755)

    def make(self, target: str, asked: str = "", ends: int = 0, **settings: str) -> tuple[list[str], str]:
        """Make a target. Returns the calls of programs, and what was printed."""
        calls = self.folder / "calls"
        calls.unlink(missing_ok=True)
        inherited = ("AIRFLOW", "ECR_AUDIT_", "MAKE")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(inherited)}
        done = subprocess.run(
            ["make", "--no-print-directory", target],
            cwd=self.folder,
            env=environment | {"CALLS": str(calls)} | settings,
            input=asked,
            capture_output=True,
            text=True,
        )
        assert done.returncode == ends, done.stdout + done.stderr
        return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else [], done.stdout + done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


# All that write data of the audit, of Airflow or of Superset.
WRITING = [
    "audit",
    "audit-aws",
    "doctor",
    "doctor-demo",
    "demo-history",
    "up",
    "up-demo",
    "pages",
    "sql",
    "as-of",
    "oscal",
    "verify",
    "evidence",
    "bi",
]


@pytest.mark.parametrize("target", WRITING)
def test_only_the_owner_reads_the_files_of_a_target(checkout: Checkout, target: str) -> None:
    calls, _ = checkout.make(target)
    assert calls
    assert [call for call in calls if "umask 0077" not in call] == []


def test_no_target_that_runs_something_is_forgotten() -> None:
    """Those that only read the checkout, or write files of it, are named here."""
    running = re.findall(r"^([a-z-]+): \$\((?:VENV|SUPERSET)\)/\.(?:audit|installed)", MAKEFILE, flags=re.MULTILINE)
    assert set(running) - set(WRITING) == {"docs", "advisories"}


def test_the_pages_ask_for_a_login_and_answer_this_machine(checkout: Checkout) -> None:
    calls, reported = checkout.make("pages")
    server = next(call for call in calls if call.startswith("airflow api-server"))
    assert "SIMPLE_AUTH_MANAGER" not in server
    # By which the pages also refuse other names in the Host header (ecr_audit/web/front_door.py).
    assert "AIRFLOW__API__HOST=127.0.0.1" in server
    assert "Log in as admin." in reported
    assert reported.splitlines()[-1] == "Open http://127.0.0.1:8080/plugin/ecr-audit"
    _, reported = checkout.make("pages", AIRFLOW__API__PORT="8081", AIRFLOW__API__BASE_URL="https://a.example.com/air/")
    assert reported.splitlines()[-1] == "Open http://127.0.0.1:8081/air/plugin/ecr-audit"
    assert f"{checkout.folder}/.airflow/terminal/simple_auth_manager_passwords.json.generated" in reported


def test_the_demo_that_can_be_changed_has_a_database_of_its_own(checkout: Checkout) -> None:
    [call], reported = checkout.make("up-demo")
    assert call.startswith("python -m demo.up umask 0077")
    assert "AIRFLOW__CORE__EXECUTION_API_SERVER_URL=http://127.0.0.1:8080/execution/" in call
    assert f"{checkout.folder}/.airflow/demo/simple_auth_manager_passwords.json.generated" in reported
    assert "Open http://127.0.0.1:8080/dags/ecr_remediation" in reported
    [call], _ = checkout.make("up")
    assert "REMEDIATION" not in call


def test_the_shell_reads_the_published_file_and_no_other(checkout: Checkout) -> None:
    """With DuckDB's own shell, and a malicious statement pasted into it."""
    published, other = checkout.folder / "compliance.duckdb", checkout.folder / "secret.csv"
    with duckdb.connect(str(published)) as database:
        database.execute("CREATE TABLE findings AS SELECT 42 AS answer, 'a' AS policy_id")
    analyses = checkout.folder / "sql" / "analyses"
    analyses.mkdir(parents=True)
    (analyses / "answers.sql").write_text("-- What?\nSELECT answer + 1 FROM findings WHERE policy_id = $policy_id;\n")
    (analyses / "broken.sql").write_text("-- Who?\nSELECT owner FROM owners;\n")
    other.write_text("secret\nof somebody\n", encoding="utf-8")
    checkout.program(".venv/bin/python", f"#!/bin/sh\necho {published}\n")
    (checkout.folder / ".venv/bin/duckdb").unlink()
    (checkout.folder / ".venv/bin/duckdb").symlink_to(Path(sys.executable).with_name("duckdb"))
    _, reported = checkout.make(
        "sql", f"FROM findings;\nFROM '{other}';\n.shell cat {other}\n.output {other}\n", ends=2
    )
    assert "42" in reported
    assert "of somebody" not in reported
    assert other.read_text(encoding="utf-8") == "secret\nof somebody\n"
    _, reported = checkout.make("sql", "DELETE FROM findings;\n", ends=2)
    assert "read-only" in reported
    _, reported = checkout.make("sql", "EXECUTE answers(policy_id := 'a');\n")
    assert "43" in reported


def test_the_dashboard_reads_the_publication(checkout: Checkout) -> None:
    """The audit itself says where that is, so that a setting means the same everywhere."""
    checkout.program(".venv/bin/python", "#!/bin/sh\necho '/a folder/compliance.duckdb'\n")
    [call], _ = checkout.make("bi")
    assert "serve.py /a folder/compliance.duckdb umask" in call
    checkout.program(".venv/bin/python", "#!/bin/sh\nexit 1\n")
    assert checkout.make("bi", ends=2)[0] == []


def test_the_scheduler_and_the_command_audit_into_one_folder(checkout: Checkout) -> None:
    [call], _ = checkout.make("up")
    [folder] = re.findall(r"ECR_AUDIT_DATA=(\S+)", call)
    assert folder == str(checkout.folder / "data" / "aws")
    assert 'ROOT / "data" / "aws"' in (ROOT / "bin" / "audit.py").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, "http://127.0.0.1:8080/execution/"),
        ({"AIRFLOW__API__PORT": "8081"}, "http://127.0.0.1:8081/execution/"),
        ({"AIRFLOW__API__BASE_URL": "https://a.example.com"}, "http://127.0.0.1:8080/execution/"),
        ({"AIRFLOW__API__BASE_URL": "https://a.example.com/air/flow/"}, "http://127.0.0.1:8080/air/flow/execution/"),
        ({"AIRFLOW__API__BASE_URL": "/air"}, "http://127.0.0.1:8080/air/execution/"),
        ({"AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://b.example.com/"}, "http://b.example.com/"),
    ],
)
def test_tasks_report_to_the_port_and_path_of_the_ui(checkout: Checkout, settings: dict[str, str], asked: str) -> None:
    """Airflow's own default is port 8080, and the address for people, where a proxy asks for a login."""
    [call], _ = checkout.make("up", "", 0, **settings)
    assert re.findall(r"EXECUTION_API_SERVER_URL=(\S+)", call) == [asked]
    assert re.findall(r"AIRFLOW__API__PORT=(\S+)", call) == [settings.get("AIRFLOW__API__PORT", "8080")]


def test_the_python_that_is_locked_for_is_the_images_and_the_oldest_that_is_supported() -> None:
    [locked] = re.findall(r"^OLDEST_PYTHON := (\S+)$", MAKEFILE, flags=re.MULTILINE)
    assert "--python-version $(OLDEST_PYTHON)" in MAKEFILE
    image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^FROM \S+-python([0-9.]+)", image, flags=re.MULTILINE) == [locked]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert f'requires-python = ">={locked}"' in project
    assert f'target-version = "py{locked.replace(".", "")}"' in project


def test_advisories_cover_all_locked_packages_in_the_workflow_too() -> None:
    [command] = re.findall(r"^advisories: .*\n\t@(.*)$", MAKEFILE, flags=re.MULTILINE)
    assert re.search(r"pip-audit==\S+ --strict --require-hashes --disable-pip -r requirements\.txt$", command)
    workflow = (ROOT / ".github/workflows/advisories.yaml").read_text(encoding="utf-8")
    assert "run: make advisories" in workflow


BARE_MACHINES = {
    "without python3-venv, as Debian is": (
        "import sys; sys.modules['ensurepip'] = None",
        "python3 cannot set up an environment. On Debian or Ubuntu: apt-get install python3-venv",
    ),
    "with an older Python": (
        "import sys; sys.version_info = (3, 9, 2, 'final', 0)",
        "python3 is Python 3.9, and the audit needs 3.11 or newer."
        " Install python3.11 and python3.11-venv, then: make PYTHON=python3.11 audit",
    ),
    "without Python": (
        None,
        "python3 is not installed. On Debian or Ubuntu: apt-get install python3 python3-venv",
    ),
}


@pytest.mark.parametrize("machine", BARE_MACHINES)
@pytest.mark.parametrize("half_made", [False, True])
def test_a_bare_machine_gets_the_name_of_the_package(checkout: Checkout, machine: str, half_made: bool) -> None:
    """By a message alone, also when an earlier try has left an environment without pip."""
    lacks, message = BARE_MACHINES[machine]
    shutil.rmtree(checkout.folder / ".venv")
    if half_made:
        (checkout.folder / ".venv/bin").mkdir(parents=True)
        checkout.program(".venv/bin/python", "#!/bin/sh\necho No module named pip >&2\nexit 1\n")
    programs = checkout.folder / "programs"
    programs.mkdir()
    for name in ("sh", "bash", "make"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if lacks:
        (programs / "python3").symlink_to(Path(sys.executable).resolve())
        # Make's PYTHONPATH begins with plugins.
        (checkout.folder / "plugins").mkdir()
        (checkout.folder / "plugins" / "sitecustomize.py").write_text(lacks, encoding="utf-8")
    calls, printed = checkout.make("audit", ends=2, PATH=str(programs))
    assert calls == []
    heading, advice, end = printed.splitlines()
    assert (heading, advice) == ("Setting up .venv from requirements.txt …", message)
    assert end.startswith("make: *** ")
