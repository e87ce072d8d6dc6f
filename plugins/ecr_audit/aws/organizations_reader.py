"""Calls to AWS Organizations, which is asked at the pace that it allows."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ecr_audit.aws.advice import advice_on_error
from ecr_audit.aws.answers import timestamp
from ecr_audit.aws.dispatcher import Pacer
from ecr_audit.aws.outcomes import error_code, error_message
from ecr_audit.aws.permissions import DENIED, action_of
from ecr_audit.aws.session import Hub, HubError

log = logging.getLogger(__name__)

# ListAccounts allows 8 calls a second (AWS Organizations User Guide, "Quotas and service limits").
CALLS_PER_SECOND = 8
# How often a listing may give the same token, as with empty pages, before it is taken for endless.
MOST_REPETITIONS = 10

# How Organizations says that a unit is not there (ListAccountsForParent, ListOrganizationalUnitsForParent).
UNIT_IS_GONE = frozenset({"ParentNotFoundException", "OrganizationalUnitNotFoundException"})


class OrganizationsReader:
    """Reads paged answers of Organizations at the pace it allows. A refusal is a HubError that names the permission."""

    def __init__(self, hub: Hub) -> None:
        self._client = hub.client("organizations")
        self._client.meta.events.register("before-parse.organizations.*", _make_readable)
        self._pacer = Pacer(CALLS_PER_SECOND)

    def items(self, operation: str, key: str, **parameters: Any) -> Iterator[dict[str, Any]]:
        """All items of a list operation. A page may be empty and still carry a token."""
        token: dict[str, str] = {}
        given: Counter[str] = Counter()
        while True:
            try:
                answer = self.ask(operation, key, **parameters, **token)
            except HubError as error:
                if error.__cause__ is None or error_code(error.__cause__) not in UNIT_IS_GONE:
                    raise
                log.warning("A unit was deleted while the organization was being read: %s", error)
                return
            yield from answer[key]
            following = answer.get("NextToken")
            if not following:
                return
            given[following] += 1
            if given[following] > MOST_REPETITIONS:
                raise HubError(f"AWS Organizations returned a NextToken of {operation} {given[following]} times")
            token = {"NextToken": following}

    def ask(self, operation: str, key: str, **parameters: Any) -> dict[str, Any]:
        """The answer of one call, which holds `key`. botocore takes a body that breaks off for an empty answer."""
        self._pacer.wait()
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**parameters)
        except ClientError as error:
            advice = advice_on_error(error)
            fix = f" {advice.what_to_do}" if advice else ""
            if error_code(error) in DENIED:
                fix = " Run the audit from the management account or a delegated administrator whose role allows it."
            raise HubError(
                f"{action_of('organizations', operation)} is denied to the hub account: {error_code(error)}: "
                f"{error_message(error)}.{fix}"
            ) from error
        except BotoCoreError as error:
            advice = advice_on_error(error)
            fix = f" {advice.what_to_do}" if advice else ""
            raise HubError(f"AWS Organizations cannot be reached: {error}.{fix}") from error
        # botocore's parsers raise anything for a document that is not of the form that they expect.
        except Exception as error:
            raise HubError(f"AWS Organizations returned an unreadable response for {operation}: {error!r}") from error
        if key not in answer:
            raise HubError(f"AWS Organizations returned no '{key}' for {operation}: the body is incomplete")
        return answer


def _make_readable(response_dict: dict[str, Any], **_: Any) -> None:
    """Leave out of a page of accounts what botocore would fail the whole page for, or hand on to trip over later.

    `JoinedTimestamp` and `Paths` are nice to have; without the latter the tree is read unit by unit.
    """
    try:
        answer = json.loads(response_dict["body"])
        accounts = [each if isinstance(each, dict) else {} for each in answer["Accounts"]]
    except (ValueError, TypeError, KeyError):
        return  # not a page of accounts
    for account in accounts:
        try:
            timestamp(account.get("JoinedTimestamp"))
        except ValueError:
            account.pop("JoinedTimestamp", None)
        paths = account.get("Paths")
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            account.pop("Paths", None)
    response_dict["body"] = json.dumps({**answer, "Accounts": accounts}).encode()
