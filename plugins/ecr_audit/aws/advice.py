"""Meaning and remedy of each outcome and each common error: the one table that all advice is read from.

The terminal's summary, the pages, alerts, the doctor, the errors of the program and docs/errors.md take it from here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from ecr_audit.aws.outcomes import EXPIRED, NOT_OPTED_IN, THROTTLES, UNKNOWN_CREDENTIALS, UNREAD, Outcome
from ecr_audit.aws.outcomes import error_code as code_of
from ecr_audit.aws.outcomes import error_message as message_of


@dataclass(frozen=True)
class Advice:
    """A meaning, and what to do about it, for the person who runs the audit."""

    meaning: str
    # One sentence, for lists.
    fix: str
    # How and where, when that takes more than a sentence.
    details: str = ""

    @property
    def what_to_do(self) -> str:
        """All that there is to do."""
        return f"{self.fix} {self.details}".rstrip()


@dataclass(frozen=True)
class Cause:
    """A cause of errors, which shows by their code (AWS's, or an exception's name) or by words of their message."""

    title: str
    advice: Advice
    codes: frozenset[str] = frozenset()
    words: re.Pattern[str] | None = None

    def fits(self, code: str, message: str) -> bool:
        """Whether an error has this cause."""
        return code in self.codes or (self.words is not None and self.words.search(f"{code}: {message}") is not None)


# docs/errors.md makes links of paths such as this one.
_AT_ONCE = "The next night reads it again; to read it at once: docs/operations.md#reading-some-accounts-again."

OUTCOMES = {
    Outcome.COLLECTED: Advice("Every repository of the account and region was read.", ""),
    Outcome.ASSUME_ROLE_DENIED: Advice(
        "The audit role is absent from the account, or does not trust the hub: the account cannot be read.",
        "Create the audit role there, or make it trust the hub (and its external id).",
        "The account's owner does it, or the management account: docs/deploy.md#one-account-lacks-the-role has the"
        f" commands. {_AT_ONCE}"
        " ECR_AUDIT_ROLE_NAME names the role (default: ecr-audit); deploy/ has a StackSet for all accounts. Its trust"
        " policy has to allow sts:AssumeRole to the role that the audit runs as and, where ECR_AUDIT_EXTERNAL_ID is"
        " set, to ask for that external id. The hub's own role needs sts:AssumeRole on it, and no SCP may deny it.",
    ),
    Outcome.ACCESS_DENIED: Advice(
        "The role was assumed, but ecr:DescribeRepositories was denied.",
        "Allow ecr:DescribeRepositories to the audit role, also in the SCPs above the account.",
        "AWS's message often names the kind of policy that denies it; a permissions boundary may do so as well."
        f" {_AT_ONCE}",
    ),
    Outcome.THROTTLED: Advice(
        "AWS throttled every attempt until the target's time limit.",
        "Raise ECR_AUDIT_TARGET_SECONDS, or run when the account is quieter.",
        "The next night reads it again.",
    ),
    Outcome.FAILED: Advice(
        "Another error, which the message names.",
        "Fix the cause that the error names.",
        _AT_ONCE,
    ),
    Outcome.REGION_DISABLED: Advice(
        "An opt-in region that the account has not enabled: it does not count against coverage.",
        "Nothing to do: when the account enables the region, the next night reads it.",
    ),
    Outcome.ACCOUNT_INACTIVE: Advice(
        "The account is suspended or being closed, and was not called: it does not count against coverage.",
        "Nothing to do.",
    ),
}

NO_CREDENTIALS = Advice(
    "No AWS credentials for the hub account.",
    "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where a role is attached, or name an"
    " Airflow connection in ECR_AUDIT_AWS_CONN_ID.",
)

_LEAVE_OUT = "by ECR_AUDIT_REGIONS, which leaves it out for every account"

_READ_AGAIN = "the next night, or a run of ecr_inventory that is limited to these accounts, reads them again."

_LIMITED_RUN = "A run for some accounts: docs/operations.md#reading-some-accounts-again."

# In this order: the first that fits. What a message says comes before the code, which services use for many things.
CAUSES = (
    Cause(
        "Clock skew",
        Advice(
            "This machine's clock is wrong: AWS rejects signatures that are more than five minutes off.",
            "Set this machine's clock (an NTP service such as chrony keeps it).",
        ),
        # S3 has a code of its own; the others say so in the message, under codes that a wrong key has too.
        words=re.compile(r"RequestTimeTooSkewed|Signature expired|Signature not yet current|RequestInTheFuture"),
    ),
    Cause(
        "Service control policy",
        Advice(
            "A service control policy (SCP) denies the call: usually one that restricts regions.",
            "Exempt the audit role in the SCP (a condition ArnNotLike on aws:PrincipalArn), or leave the region out"
            f" {_LEAVE_OUT}.",
            "Who manages SCPs in the management account does it: docs/deploy.md#an-scp-closes-a-region has the"
            f" condition. {_AT_ONCE}",
        ),
        words=re.compile("service control policy"),
    ),
    Cause(
        "Policy around the role",
        Advice(
            "A permissions boundary, session policy, resource control policy or VPC endpoint policy denies the call.",
            "Allow the action in the policy; AWS's message names both.",
        ),
        words=re.compile("permissions boundary|session policy|resource control policy|VPC endpoint policy"),
    ),
    Cause(
        "No policy allows it",
        Advice(
            "No policy of the caller allows the call.",
            "Allow the action to the role; AWS's message names both (deploy/ has both roles).",
        ),
        words=re.compile("no identity-based policy allows"),
    ),
    Cause(
        "Certificate not trusted",
        Advice(
            "The server's certificate is not trusted: often that of a proxy, signed by the company's own CA.",
            "Set AWS_CA_BUNDLE to a file that holds the company's CA, wherever the audit runs.",
        ),
        frozenset({"ClientConnectorCertificateError", "ClientConnectorSSLError", "ClientSSLError", "SSLError"}),
        re.compile("CERTIFICATE_VERIFY_FAILED"),
    ),
    Cause(
        "Address is not a URL",
        Advice(
            "An address in the environment is not a URL, so no call could be made.",
            "Write AWS_ENDPOINT_URL (also AWS_ENDPOINT_URL_<SERVICE>) and HTTPS_PROXY with their scheme, such as"
            " http://proxy.example.com:3128.",
        ),
        frozenset({"InvalidURL", "InvalidUrlClientError", "NonHttpUrlClientError", "InvalidProxiesConfigError"}),
        re.compile("Invalid endpoint"),
    ),
    Cause(
        "Proxy",
        Advice(
            "The proxy cannot be reached, or refuses the connection.",
            "Check HTTPS_PROXY, and NO_PROXY for hosts that must bypass it.",
            "It must allow the endpoints of sts, organizations, ec2, ecr and tagging in every audited region.",
        ),
        frozenset({"ProxyConnectionError", "ClientProxyConnectionError", "ClientHttpProxyError"}),
    ),
    Cause(
        "Endpoint unreachable",
        Advice(
            "The endpoint cannot be reached: its name does not resolve, or it does not respond.",
            "Allow access to the endpoint that the error names, directly or through HTTPS_PROXY, or leave its region"
            f" out {_LEAVE_OUT}.",
        ),
        frozenset(
            {
                *("ClientConnectorDNSError", "ClientConnectorError", "ConnectionTimeoutError"),
                *("EndpointConnectionError", "ConnectTimeoutError"),
            }
        ),
    ),
    Cause(
        "Connection broke off",
        Advice(
            "Connections broke, or responses were incomplete or timed out, at every attempt.",
            f"If it happened once, do nothing: {_READ_AGAIN}",
            f"If it happens again, check the network between the audit and AWS (proxy, firewall, NAT). {_LIMITED_RUN}",
        ),
        frozenset(
            {
                *("ServerDisconnectedError", "ClientOSError", "ClientPayloadError", "ClientConnectionResetError"),
                *("ServerTimeoutError", "SocketTimeoutError", "TimeoutError", "ReadTimeoutError"),
                *("ConnectionClosedError", "HTTPClientError", "ResponseParserError"),
            }
        ),
    ),
    Cause(
        "Fault of AWS",
        Advice(
            "AWS returned a server error at every attempt.",
            f"If it happened once, do nothing: {_READ_AGAIN}",
            f"If it happens again, see AWS's Health Dashboard for the service and region. {_LIMITED_RUN}",
        ),
        frozenset(
            {
                *("InternalFailure", "InternalError", "InternalServiceException", "ServerException"),
                *("ServiceException", "ServiceUnavailable", "ServiceUnavailableException", "Unavailable"),
                *("RequestTimeout", "RequestTimeoutException", "PaginationError"),
            }
        ),
    ),
    Cause("Throttled", OUTCOMES[Outcome.THROTTLED], THROTTLES),
    Cause(
        "STS switched off",
        Advice(
            "AWS STS is not active in the hub's region for the account that the message names.",
            "Set AWS_REGION to a region whose STS is active in every account, or activate it there (IAM console of that"
            " account, Account settings).",
        ),
        frozenset({"RegionDisabledException"}),
    ),
    Cause(
        "Credentials expired",
        Advice(
            "The hub's credentials are no longer valid.",
            "Renew them (aws sso login, or new keys).",
            "For nightly runs use credentials that renew themselves: an attached role, or a profile or an Airflow"
            " connection that assumes one.",
        ),
        EXPIRED | {"TokenRetrievalError", "SSOTokenLoadError", "UnauthorizedSSOTokenError", "LoginTokenLoadError"},
    ),
    Cause(
        "Unknown credentials",
        Advice(
            "The region does not know the credentials. In an opt-in region: nobody could say whether the account has"
            " enabled it, or ec2:DescribeRegions calls it enabled. Elsewhere: the keys are wrong, deleted, or of"
            " another partition.",
            "For an opt-in region, allow ec2:DescribeRegions to the audit role (in the hub's account, to the hub);"
            " elsewhere check the keys and AWS_REGION.",
            "Tokens of the global endpoint of STS are not valid in opt-in regions: for the hub's own account, set"
            " AWS_STS_REGIONAL_ENDPOINTS=regional. AssumeRole answers so when the hub works in an opt-in region that a"
            " member has not enabled: set AWS_REGION to one that needs no opt-in. A region that was enabled just now"
            " may take some hours.",
        ),
        UNKNOWN_CREDENTIALS,
    ),
    Cause(
        "Wrong secret key",
        Advice(
            "AWS computes a different signature.",
            "Check the secret key of the hub's credentials; if it is right, something on the network changes requests.",
        ),
        frozenset({"SignatureDoesNotMatch", "InvalidSignatureException", "IncompleteSignature"}),
    ),
    Cause(
        "No credentials",
        NO_CREDENTIALS,
        frozenset({"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}),
    ),
    Cause(
        "Unknown region",
        Advice(
            "AWS does not have the region that the hub uses.",
            "Check AWS_REGION, AWS_DEFAULT_REGION, and the region of the profile or the Airflow connection.",
        ),
        frozenset({"InvalidRegionError", "UnknownRegionError", "NoRegionError", "UnknownEndpointError"}),
    ),
    Cause(
        "Account not subscribed",
        Advice(
            "The account has not finished its sign-up, or AWS has restricted it.",
            "Finish the sign-up in the account's console, or ask AWS Support.",
        ),
        frozenset({NOT_OPTED_IN, "SubscriptionRequiredException"}),
    ),
    Cause(
        "Invalid request",
        Advice(
            "AWS rejects the request as malformed.",
            "Check ECR_AUDIT_ROLE_NAME and ECR_AUDIT_EXTERNAL_ID; if they are right, report a bug.",
        ),
        frozenset({"ValidationError", "InvalidParameterException"}),
    ),
    Cause(
        "Batch time limit",
        Advice(
            "The batch reached its time limit before this target was read.",
            "Raise ECR_AUDIT_BATCH_SECONDS, or lower ECR_AUDIT_BATCH_ACCOUNTS so that more tasks share the work.",
        ),
        frozenset({"BatchTimeUp"}),
    ),
    Cause(
        "Batch lost",
        Advice(
            "The task of the batch ended without writing its results.",
            "Fix what the log of its scan_accounts task says, then clear that task with what follows it"
            " (docs/operations.md#a-batch-that-failed).",
        ),
        frozenset({"BatchLost"}),
    ),
    Cause(
        "Contradictory data",
        Advice(
            "The data of the target is inconsistent: it fails the check of sql/checks that the message names.",
            "Report it as a bug, with the rows in the log of commit_snapshot.",
            "AWS may have returned it only once: the next night reads the target again.",
        ),
        frozenset({"ContradictoryData"}),
    ),
    Cause(
        "Never planned",
        Advice(
            "No run of the day has planned the target: limited runs left it out.",
            "Run ecr_inventory without limits, or wait for the next night.",
        ),
        frozenset({"NeverPlanned"}),
    ),
    Cause(
        "Bug in the audit",
        Advice(
            "The audit met an unexpected error.",
            "Report it as a bug, with the log of the scan_accounts task: reading the target again does not help.",
        ),
        frozenset(
            {"AssertionError", "AttributeError", "IndexError", "KeyError", "OverflowError", "TypeError", "ValueError"}
        ),
    ),
)


def advice_on(outcome: str, code: str | None, message: str | None) -> Advice:
    """The advice on a target by its outcome and error: that of the error where it is known, else of the outcome."""
    cause = _cause(code, message) if outcome in UNREAD else None
    return cause.advice if cause else OUTCOMES[Outcome(outcome)]


def advice_on_error(error: BaseException) -> Advice | None:
    """The advice on an error that is not of a target; None when its cause is not known."""
    cause = _cause(code_of(error), message_of(error))
    return cause.advice if cause else None


def distinct_advice(met: Iterable[tuple[str, str | None, str | None]]) -> list[tuple[str, Advice]]:
    """The advice on several targets, each once with its subject, in the given order.

    `met`: outcome, error code and message of each. What it is about: `FAILED (InvalidURL)`, or the outcome alone.
    """
    about: dict[Advice, list[str]] = {}
    for outcome, code, message in met:
        advice = advice_on(outcome, code, message)
        by_outcome = advice is OUTCOMES[Outcome(outcome)] and outcome != Outcome.FAILED
        label = outcome if by_outcome or not code else f"{outcome} ({code})"
        labels = about.setdefault(advice, [])
        if label not in labels:
            labels.append(label)
    return [(", ".join(labels), advice) for advice, labels in about.items()]


def _cause(code: str | None, message: str | None) -> Cause | None:
    return next((cause for cause in CAUSES if cause.fits(code or "", message or "")), None)


CLOCK_SKEW = CAUSES[0]
