"""All facets, and the flow that reads those that are wanted of one registry. See `facet`."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from ecr_audit.aws.dispatcher import Flow, NextPart
from ecr_audit.aws.ecr.facet import Declaration, FacetRead, Registry
from ecr_audit.aws.ecr.keys import KEYS
from ecr_audit.aws.ecr.policies import LIFECYCLE, POLICIES
from ecr_audit.aws.ecr.registry import REGISTRIES, registry_arn
from ecr_audit.aws.ecr.repositories import Repository
from ecr_audit.aws.ecr.scanning import SCANNING
from ecr_audit.aws.ecr.tags import TAGS
from ecr_audit.vocabulary import Facet

# In the order in which they are read: those that take few calls first.
FACETS: tuple[Declaration, ...] = (TAGS, SCANNING, KEYS, REGISTRIES, LIFECYCLE, POLICIES)

FACET: Mapping[Facet, Declaration] = {each.facet: each for each in FACETS}

# The facet whose values are columns of the registry; those of the others are columns of its repositories.
REGISTRY_FACET = REGISTRIES
REPOSITORY_FACETS = tuple(each for each in FACETS if each is not REGISTRY_FACET)

PERMISSIONS = tuple(permission for each in FACETS for permission in each.permissions)

# Its multiples are spread evenly over a circle, however many there are (the golden ratio's fraction).
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class Wanted:
    """The facets that a night reads, and which objects have their turn."""

    facets: Sequence[Facet]
    night: date
    rotation_nights: int

    def declarations(self) -> list[Declaration]:
        """Those of the facets, in the order in which they are read.

        Those that take a call for each repository come last, and begin with another one each night: where AWS's limits
        cut nights short, none of them is always the one that is left out.
        """
        wanted = [each for each in FACETS if each.facet in self.facets]
        each_repository = [each for each in wanted if each.rotates and each is not REGISTRY_FACET]
        first = self.night.toordinal() % len(each_repository) if each_repository else 0
        few_calls = [each for each in wanted if each not in each_repository]
        return few_calls + each_repository[first:] + each_repository[:first]

    def due(self, declaration: Declaration, objects: Sequence[str]) -> list[str]:
        """Those of some objects (ARNs) that are to be read tonight, in the order in which they are.

        By rotation an object has its turn in one of N nights, by its hash. Each time round it begins elsewhere,
        so that where AWS's limits cut a night short, it is not always the same objects that are left out.
        """
        if not declaration.rotates:
            return list(objects)
        nights, today = self.rotation_nights, self.night.toordinal()
        start = _GOLDEN * (today // nights) % 1
        places = {each: divmod(zlib.crc32(each.encode()), nights) for each in objects}
        turn = [each for each, (_, night) in places.items() if night == today % nights]
        circle = 2**32 / nights
        return sorted(turn, key=lambda each: (places[each][0] / circle - start) % 1)


def collect(
    registry: Registry,
    repositories: Sequence[Repository],
    wanted: Wanted,
    begin: Callable[[Facet, FacetRead], None],
) -> Flow:
    """A flow that reads the wanted facets of a registry that has repositories.

    `begin` gets each facet's result before anything is read into it: what was read until the time is up counts.
    Whatever AWS answers is part of the results, never an exception. AWS limits each of its operations: a facet that is
    throttled until its time is up leaves the next one its own.
    """
    by_arn = {each.arn: each for each in repositories}
    reads = []
    for declaration in wanted.declarations():
        objects = [registry_arn(repositories[0])] if declaration is REGISTRY_FACET else list(by_arn)
        read = FacetRead(wanted.due(declaration, objects))
        begin(declaration.facet, read)
        reads.append((declaration, read))
    for declaration, read in reads:
        if read.due:
            due = repositories if declaration is REGISTRY_FACET else [by_arn[arn] for arn in read.due]
            yield NextPart()
            yield from declaration.read(registry, due, read)
