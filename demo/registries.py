"""Settings of the demo organization's registries: scanning, creation templates, and pull-through cache rules.

Nights are counted as in `repository_settings`.
"""

from __future__ import annotations

from demo.emulated_aws.world import CreationTemplate, PullThroughRule, Registry, ScanningRule

_EVERYTHING = (ScanningRule("SCAN_ON_PUSH", ("*",)),)
_CONTINUOUS = (ScanningRule("CONTINUOUS_SCAN", ("*",)),)
_SYSTEMS_FIRST = (ScanningRule("CONTINUOUS_SCAN", ("checkout/*", "billing")), ScanningRule("SCAN_ON_PUSH", ("*",)))
_SOME = (ScanningRule("SCAN_ON_PUSH", ("tracking/*", "routing/*", "labels")),)

# Rules of an account's registries, and how many nights ago they came. Registries of the others were never configured.
_SCANNING: dict[str, tuple[tuple[ScanningRule, ...], int]] = {
    "210000000002": (_EVERYTHING, 1_000),
    "210000000004": (_CONTINUOUS, 1_000),
    "210000000005": ((ScanningRule("SCAN_ON_PUSH", ("checkout", "ledger/*")),), 1_000),
    "210000000007": (_CONTINUOUS, 1_000),
    "210000000008": (_CONTINUOUS, 33),
    "210000000009": (_EVERYTHING, 1_000),
    "210000000010": (_SYSTEMS_FIRST, 1_000),
    "210000000011": (_SYSTEMS_FIRST, 20),
    "210000000013": (_SOME, 1_000),
    # Configured without a rule: nothing is scanned by itself.
    "210000000014": ((), 1_000),
    "210000000017": (_EVERYTHING, 0),
    "210000000022": (_EVERYTHING, 1_000),
}

_CREATED_ON_PUSH = ("CREATE_ON_PUSH",)
_FROM_UPSTREAM = ("PULL_THROUGH_CACHE",)

_DOCKER_HUB = PullThroughRule("docker-hub", "registry-1.docker.io")
_QUAY = PullThroughRule("quay", "quay.io")
_KUBERNETES = PullThroughRule("k8s", "registry.k8s.io")

_STRICT_ROOT = CreationTemplate("ROOT", "IMMUTABLE")
_CACHES = (
    CreationTemplate("docker-hub", "IMMUTABLE", applied_for=_FROM_UPSTREAM),
    CreationTemplate("quay", "IMMUTABLE_WITH_EXCLUSION", ("latest",), applied_for=_FROM_UPSTREAM),
)

# Templates and rules by registry, and how many nights ago they came: before, it had the rules alone.
_CREATION: dict[tuple[str, str], tuple[tuple[CreationTemplate, ...], tuple[PullThroughRule, ...], int]] = {
    ("210000000004", "us-east-1"): (_CACHES, (_DOCKER_HUB, _QUAY), 1_000),
    # Nothing makes what comes from Kubernetes immutable.
    ("210000000004", "us-west-2"): (_CACHES, (_DOCKER_HUB, _QUAY, _KUBERNETES), 1_000),
    ("210000000004", "eu-west-1"): ((_STRICT_ROOT,), (_DOCKER_HUB,), 12),
    ("210000000005", "us-east-1"): ((), (_DOCKER_HUB,), 1_000),
    ("210000000005", "eu-central-1"): (_CACHES[:1], (_DOCKER_HUB,), 0),
    ("210000000007", "us-east-1"): ((_STRICT_ROOT,), (), 1_000),
    # The template leaves mutability out, which makes MUTABLE.
    ("210000000010", "us-east-1"): ((CreationTemplate("ROOT", applied_for=_CREATED_ON_PUSH),), (), 1_000),
    ("210000000011", "eu-west-1"): ((CreationTemplate("ROOT", "IMMUTABLE", applied_for=_CREATED_ON_PUSH),), (), 45),
    ("210000000013", "eu-central-1"): (
        (CreationTemplate("labels/", "MUTABLE", applied_for=("REPLICATION",)),),
        (),
        1_000,
    ),
    ("210000000021", "us-east-1"): (
        (CreationTemplate("k8s", "MUTABLE_WITH_EXCLUSION", ("v*",), applied_for=_FROM_UPSTREAM),),
        (_KUBERNETES,),
        1_000,
    ),
    ("210000000022", "us-east-1"): (
        (CreationTemplate("preview", "MUTABLE", applied_for=_CREATED_ON_PUSH),),
        (),
        1_000,
    ),
}


def registry_of(account_id: str, region: str, nights_ago: int) -> Registry:
    """The settings of an account's registry in a region, some nights ago."""
    scanning, scanning_since = _SCANNING.get(account_id, (None, 0))
    templates, rules, templates_since = _CREATION.get((account_id, region), ((), (), 0))
    return Registry(
        scanning if nights_ago <= scanning_since else None,
        templates if nights_ago <= templates_since else (),
        rules,
    )


def registry_of_many(account_id: str, region: str) -> Registry:
    """The settings of a registry of a large organization: by the account's number, the same in all regions."""
    number = int(account_id)
    return Registry(
        _EVERYTHING if number % 3 == 0 else None,
        (_STRICT_ROOT,) if number % 4 == 0 else (),
        (_DOCKER_HUB,) if number % 6 == 0 else (),
    )
