"""The image tags of repositories, each with the digest of its image, by ListImages.

One call takes up to 1,000 tags of one repository. The repositories of a registry are read side by side, as many at
once as ECR_AUDIT_REGISTRY_CONCURRENCY allows: AWS counts its limits per account and region.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError, PaginationError
from botocore.parsers import ResponseParserError

from ecr_audit.aws.accounts import AWS_FAULTS
from ecr_audit.aws.answers import quoted, text
from ecr_audit.aws.dispatcher import Call, Calls, Flow
from ecr_audit.aws.ecr.facet import Registry
from ecr_audit.aws.ecr.facet_permissions import LIST_IMAGES
from ecr_audit.aws.outcomes import Outcome, error_code, error_message, outcome_of_describe

PERMISSIONS = (LIST_IMAGES,)

# The most that a page can hold (Amazon ECR API Reference, ListImages).
PAGE = 1000

# Without the second, only active images are listed: the tags of an archived one would look deleted.
FILTER = {"tagStatus": "TAGGED", "imageStatus": "ANY"}

# The longest of each (OCI Distribution Specification, tags; OCI Image Specification, digests: sha512 has 135).
LONGEST_TAG = 128
LONGEST_DIGEST = 256

# Calls that are made before the flow looks whether to go on, in rounds of as many as are made at once.
_ROUNDS = 4
# Calls that fail one after the other, before the rest of a registry is left out.
_FAILURES = 8

_GONE = "RepositoryNotFoundException"


@dataclass
class TagRead:
    """The read of one repository: it can be cut off at any time, and counts only when it is complete."""

    repository_name: str
    # The digest by tag, of the pages that were read.
    tags: dict[str, str] = field(default_factory=dict)
    # Pages that were asked for; how often each was retried is not counted.
    calls: int = 0
    # None until it has ended.
    outcome: Outcome | None = None
    error_code: str | None = None
    error_message: str | None = None
    # When its last page was asked for; None: not one was.
    read_at: datetime | None = None
    # Tokens that were handed out.
    tokens: set[str] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        """Whether all pages were read."""
        return self.outcome is Outcome.COLLECTED

    def fail(self, error: Exception) -> None:
        """Note why it could not be read. Raises what is not an answer of AWS: a fault of the program."""
        if not isinstance(error, AWS_FAULTS):
            raise error
        self.end(outcome_of_describe(error, may_be_disabled=False), error_code(error), error_message(error))

    def end(self, outcome: Outcome, code: str | None = None, message: str | None = None) -> None:
        """Note how it ended. What was read of it is let go: half of the tags would pass for all of them."""
        self.outcome, self.error_code, self.error_message = outcome, code, message
        if not self.is_complete:
            self.tags.clear()
        self.tokens.clear()

    def take(self, page: Mapping[str, Any]) -> str | None:
        """Take the tags of a page; returns the token of the next one, None after the last.

        Raises ResponseParserError for what cannot be read. A listing is not a snapshot: where a tag comes twice,
        the later digest counts.
        """
        images, token = page["imageIds"], page.get("nextToken")
        if not isinstance(images, list):
            raise ResponseParserError(f"list_images returned {quoted(images)} for imageIds")
        for image in images:
            described = image if isinstance(image, dict) else {}
            tag = text(described.get("imageTag"), LONGEST_TAG)
            digest = text(described.get("imageDigest"), LONGEST_DIGEST)
            if not tag or not digest:
                raise ResponseParserError(f"list_images returned {quoted(image)} for a tagged image")
            self.tags[tag] = digest
        if token is None or token == "":
            return None
        if not isinstance(token, str):
            raise ResponseParserError(f"list_images returned the nextToken {quoted(token)}")
        if token in self.tokens:
            raise PaginationError(message="list_images returned the same nextToken twice")
        self.tokens.add(token)
        return token


def read_image_tags(registry: Registry, reads: Sequence[TagRead]) -> Flow:
    """A flow that reads repositories of a registry, those first that come first.

    Ends early when some calls in a row fail: a registry that denies or throttles every call costs some, not one for
    each repository. The first group is small for the same reason. Returns the read that failed last before such an end:
    what it did not reach has no outcome. Else None.
    """
    waiting: deque[tuple[TagRead, str | None]] = deque((read, None) for read in reads)
    size, failures = registry.at_once, 0
    while waiting:
        group = [waiting.popleft() for _ in range(min(size, len(waiting)))]
        for read, _ in group:
            read.calls += 1
            read.read_at = datetime.now(UTC)
        answers = yield Calls([_list_images(registry, read, token) for read, token in group], registry.at_once)
        followed: list[tuple[TagRead, str | None]] = []
        for (read, _), answer in zip(group, answers, strict=True):
            if isinstance(answer, Exception):
                read.fail(answer)
                is_gone = isinstance(answer, ClientError) and error_code(answer) == _GONE
                failures = 0 if is_gone else failures + 1
                continue
            try:
                token = read.take(answer)
            except AWS_FAULTS as error:
                read.fail(error)
                failures += 1
                continue
            failures = 0
            if token is None:
                read.end(Outcome.COLLECTED)
            else:
                followed.append((read, token))
        if failures >= max(_FAILURES, registry.at_once):
            return group[-1][0]
        # Those that have begun are finished first.
        waiting.extendleft(reversed(followed))
        size = registry.at_once * _ROUNDS
    return None


def probe_image_tags(registry: Registry, repository_name: str) -> Call:
    """The call by which the doctor finds out whether a role may list images: for one tag of a repository."""
    parameters = {"repositoryName": repository_name, "maxResults": 1, "filter": FILTER}
    return registry.call("ecr", "list_images", parameters, "imageIds")


def _list_images(registry: Registry, read: TagRead, token: str | None) -> Call:
    parameters: dict[str, Any] = {
        "repositoryName": read.repository_name,
        "maxResults": PAGE,
        "filter": FILTER,
    }
    return registry.call("ecr", "list_images", parameters | ({"nextToken": token} if token else {}), "imageIds")
