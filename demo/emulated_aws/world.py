"""The state of the emulated AWS: an organization, its accounts and regions, and what their ECR holds.

The world also knows the truth about itself (`outcome`, `repositories`), so that a test can compare what an audit
saw with what was there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from ecr_audit.unit_paths import join_names
from ecr_audit.vocabulary import DEMO_ORGANIZATION_ID

# The role that AWS Organizations creates in every account it opens; it trusts the management account.
ADMINISTRATOR_ROLE = "OrganizationAccountAccessRole"


@dataclass(frozen=True, slots=True)
class Region:
    """A region of the partition. Accounts use an opt-in region only after they enabled it."""

    name: str
    opt_in: bool = False


@dataclass(frozen=True, slots=True)
class OrganizationalUnit:
    """A node of the organization's tree. `parent_id` is another unit's id or the root's."""

    id: str
    name: str
    parent_id: str


@dataclass(frozen=True, slots=True)
class Account:
    """A member of the organization, and the obstacles to reading it.

    `state` is one of PENDING_ACTIVATION, ACTIVE, SUSPENDED, PENDING_CLOSURE, CLOSED; `joined_at` is in seconds since
    1970. `assumable` false: the audit role is absent, or does not trust the hub; `remediable` says it of the
    remediation role, `importable` of the Security Hub role. `denied_regions`: an SCP denies them. `denied_actions`: of
    IAM, which no role (nor the hub's, in the hub account) is allowed.
    """

    id: str
    name: str
    parent_id: str
    state: str = "ACTIVE"
    joined_at: float = 1_600_000_000.0
    enabled_opt_in_regions: frozenset[str] = frozenset()
    assumable: bool = True
    remediable: bool = True
    importable: bool = True
    denied_regions: frozenset[str] = frozenset()
    denied_actions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a repository; one without tags is untagged. An archived one can be listed, and not pulled."""

    digest: str
    tags: tuple[str, ...] = ()
    archived: bool = False


@dataclass(frozen=True, slots=True)
class Repository:
    """An ECR repository of one account and region; `created_at` is in seconds since 1970.

    `image_tag_mutability` None: the field is missing from the answer. `tags` None: the repository never had one, which
    hides it from the tagging API; {}: it had tags once. The policies are JSON texts; None: it has none.
    """

    name: str
    created_at: float = 1_700_000_000.0
    image_tag_mutability: str | None = "MUTABLE"
    exclusion_filters: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption_type: str = "AES256"
    kms_key: str | None = None
    tags: Mapping[str, str] | None = None
    lifecycle_policy: str | None = None
    policy: str | None = None
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """A setting that was written, and by whom."""

    account_id: str
    region: str
    repository_name: str
    image_tag_mutability: str
    exclusion_filters: tuple[str, ...]
    role: str | None


@dataclass(frozen=True, slots=True)
class ScanningRule:
    """A rule of a registry's scanning configuration: how often the repositories that a filter matches are scanned."""

    frequency: str
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CreationTemplate:
    """Settings of the repositories that ECR creates by itself under a prefix; ROOT stands for all other names.

    `image_tag_mutability` None: the template leaves it out, which makes MUTABLE. `created_at` is in seconds since 1970.
    """

    prefix: str
    image_tag_mutability: str | None = None
    exclusion_filters: tuple[str, ...] = ()
    applied_for: tuple[str, ...] = ("PULL_THROUGH_CACHE", "CREATE_ON_PUSH")
    created_at: float = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class PullThroughRule:
    """An upstream registry whose images ECR keeps under a prefix, in repositories that it creates by itself."""

    prefix: str
    upstream_registry_url: str
    created_at: float = 1_700_000_000.0


@dataclass(frozen=True, slots=True)
class Registry:
    """Settings of ECR in one account and region.

    `scanning_rules` None: scanning was never configured for the registry, and each repository's own setting counts.
    """

    scanning_rules: tuple[ScanningRule, ...] | None = None
    creation_templates: tuple[CreationTemplate, ...] = ()
    pull_through_rules: tuple[PullThroughRule, ...] = ()

    def scanning_of(self, repository: Repository) -> tuple[str, tuple[str, ...]]:
        """Return how often a repository is scanned, and the filter that decides it.

        Continuous scanning comes before scanning on push (Amazon ECR User Guide, "Filters to choose which repositories
        are scanned"). AWS names the last of the filters that match.
        """
        if self.scanning_rules is None:
            return ("SCAN_ON_PUSH" if repository.scan_on_push else "MANUAL"), ()
        for frequency in ("CONTINUOUS_SCAN", "SCAN_ON_PUSH"):
            rules = (each for each in self.scanning_rules if each.frequency == frequency)
            matching = [each for rule in rules for each in rule.filters if _matches(each, repository.name)]
            if matching:
                return frequency, (matching[-1],)
        return "MANUAL", ()


def _matches(pattern: str, name: str) -> bool:
    """Whether a scanning filter matches a repository: without a wildcard, names that contain it (see `scanning_of`)."""
    return fnmatchcase(name, pattern) if "*" in pattern else pattern in name


RepositorySource = Callable[[str, str], Sequence[Repository]]
RegistrySource = Callable[[str, str], Registry]
# From a key's ARN to its manager, AWS or CUSTOMER; None for an unknown key.
KeySource = Callable[[str], str | None]


def stored(repositories: Mapping[tuple[str, str], Sequence[Repository]]) -> RepositorySource:
    """Make a world's repositories out of a mapping from (account id, region) to the repositories there."""
    return lambda account_id, region: repositories.get((account_id, region), ())


def nothing(account_id: str, region: str) -> Sequence[Repository]:
    """Be the source of a world without a single repository."""
    return ()


def unconfigured(account_id: str, region: str) -> Registry:
    """Be the source of a world in which no registry was ever configured."""
    return Registry()


def no_keys(arn: str) -> str | None:
    """Be the source of a world without a single KMS key."""
    return None


@dataclass
class World:
    """One AWS Organization, in one partition (aws, aws-us-gov or aws-cn).

    `repository_source` gives the repositories of an account and region, the same ones each time it is asked; a large
    world derives them, so that nothing is held per target. The hub is the account whose keys start an audit; it must be
    the management account or a delegated administrator, as for AWS.
    """

    accounts: Mapping[str, Account]
    regions: Sequence[Region]
    hub_account_id: str
    management_account_id: str
    units: Mapping[str, OrganizationalUnit] = field(default_factory=dict)
    repository_source: RepositorySource = nothing
    registry_source: RegistrySource = unconfigured
    key_source: KeySource = no_keys
    partition: str = "aws"
    # The audit role of every account, and what AssumeRole must give to enter it (None: nothing).
    role_name: str = "ecr-audit"
    external_id: str | None = None
    # The role by which repositories may be changed, in every account; None: there is none.
    remediation_role_name: str | None = None
    # The role by which findings may be imported into Security Hub, in every account; None: there is none.
    security_hub_role_name: str | None = None
    # Accounts and regions in which Security Hub is not enabled.
    without_security_hub: frozenset[tuple[str, str]] = frozenset()
    organization_id: str = DEMO_ORGANIZATION_ID
    root_id: str = "r-demo"
    # False: ListAccounts leaves `Paths` out, and an audit must find the organizational units itself.
    has_paths: bool = True
    # False: ListAccounts leaves `Status` out, as AWS announced for after 2026-09-09.
    has_status: bool = False

    def __post_init__(self) -> None:
        self.account_list = tuple(self.accounts.values())
        self.opt_in_regions = {region.name: region.opt_in for region in self.regions}
        # The writes of PutImageTagMutability, in order.
        self.writes: list[Write] = []
        # The findings of Security Hub by account and region, then by id; and the ids of each call that brought some.
        self.findings: dict[tuple[str, str], dict[str, Any]] = {}
        self.imports: list[tuple[str, str, tuple[str, ...]]] = []
        self._changed: dict[tuple[str, str], tuple[Repository, ...]] = {}

    def targets(self) -> Iterator[tuple[str, str]]:
        """Yield every (account id, region), reachable or not."""
        return ((account_id, region.name) for account_id in self.accounts for region in self.regions)

    def is_enabled(self, account_id: str, region: str) -> bool:
        """Return whether the account can use the region: it exists, and needs no opt-in or was opted in to."""
        opt_in = self.opt_in_regions.get(region)
        return opt_in is False or (opt_in is True and region in self.accounts[account_id].enabled_opt_in_regions)

    def is_denied(self, account_id: str, region: str) -> bool:
        """Return whether an SCP denies the region to the account; no SCP binds the management account."""
        return region in self.accounts[account_id].denied_regions and account_id != self.management_account_id

    def outcome(self, account_id: str, region: str) -> str:
        """Return how an undisturbed scan of this account and region must end."""
        account = self.accounts[account_id]
        if account.state != "ACTIVE":
            return "ACCOUNT_INACTIVE"
        if not account.assumable and account_id != self.hub_account_id:
            return "ASSUME_ROLE_DENIED"
        if not self.is_enabled(account_id, region):
            return "REGION_DISABLED"
        is_allowed = "ecr:DescribeRepositories" not in account.denied_actions
        return "COLLECTED" if is_allowed and not self.is_denied(account_id, region) else "ACCESS_DENIED"

    def repositories(self, account_id: str, region: str) -> Sequence[Repository]:
        """Return the repositories that are there, whether or not an audit can see them."""
        if self._changed and (account_id, region) in self._changed:
            return self._changed[account_id, region]
        return self.repository_source(account_id, region)

    def registry(self, account_id: str, region: str) -> Registry:
        """Return the settings of ECR in an account and region."""
        return self.registry_source(account_id, region)

    def change_mutability(
        self, account_id: str, region: str, name: str, mutability: str, filters: Iterable[str]
    ) -> None:
        """Set a repository's tag mutability and exclusion filters from now on."""
        self._changed[account_id, region] = tuple(
            replace(repository, image_tag_mutability=mutability, exclusion_filters=tuple(filters))
            if repository.name == name
            else repository
            for repository in self.repositories(account_id, region)
        )

    def ancestors(self, parent_id: str) -> list[OrganizationalUnit]:
        """Return the units from just under the root down to `parent_id`; none for the root itself."""
        units: list[OrganizationalUnit] = []
        while parent_id != self.root_id:
            units.insert(0, self.units[parent_id])
            parent_id = self.units[parent_id].parent_id
        return units

    def entity_path(self, parent_id: str) -> str:
        """Return the path of ids of a unit or the root, such as `o-…/r-…/ou-…/`."""
        ids = [self.organization_id, self.root_id, *(unit.id for unit in self.ancestors(parent_id))]
        return "/".join(ids) + "/"

    def ou_path(self, account_id: str) -> str:
        """Return where the account is, in names: `Root/Workloads/Production`."""
        return join_names(["Root", *(unit.name for unit in self.ancestors(self.accounts[account_id].parent_id))])

    def unit_ids(self, account_id: str) -> list[str]:
        """Return the ids of the units that the account is in, from the root down."""
        return [self.root_id, *(unit.id for unit in self.ancestors(self.accounts[account_id].parent_id))]
