"""The check of the organization's trail."""

from __future__ import annotations

from datetime import UTC, datetime

from ecr_audit.aws.permissions import Option, Role
from ecr_audit.doctor.permissions import actions_of, listed
from ecr_audit.doctor.results import Result, Status, ok
from ecr_audit.image_tags.trail import Registry, read_newest
from ecr_audit.lake.s3 import S3Error
from ecr_audit.settings import Settings
from ecr_audit.text import plural
from ecr_audit.vocabulary import ImageTags

TRAIL = "Trail"

_ACTIONS = actions_of(Role.HUB, (Option.TRAIL, Option.TRAIL_KEY)) - actions_of(Role.HUB, ())


def check_trail(settings: Settings, organization_id: str, registry: Registry) -> Result:
    """List a registry's log files and read the newest, as a night does.

    A fault is a warning: it costs the actors alone. `registry`: one that is used every day, such as that of the hub's
    own account and region.
    """
    trail = settings.cloudtrail or ""
    if settings.image_tags is ImageTags.OFF:
        found = "ECR_AUDIT_CLOUDTRAIL has no effect while ECR_AUDIT_IMAGE_TAGS is off: there are no moves to explain"
        return Result(Status.WARN, TRAIL, found, "Set ECR_AUDIT_IMAGE_TAGS to overwritable or all.")
    fix = (
        f"Allow {listed(_ACTIONS)} to the hub: TrailBucket, TrailPrefix and TrailKeyArn of its role (Terraform:"
        " trail_bucket, trail_prefix, trail_key_arn); and in the policies of bucket and key, where these are in another"
        " account. Until then, moves lack their actor."
    )
    try:
        newest = read_newest(trail, organization_id, registry, datetime.now(UTC))
    except (S3Error, OSError, ValueError) as error:
        return Result(Status.WARN, TRAIL, f"{trail}: log files cannot be read: {error}", fix)
    account_id, region = registry
    if newest is None:
        found = f"{trail}: no log file of account {account_id}, region {region}, was delivered in the last day"
        fix = "Give ECR_AUDIT_CLOUDTRAIL the bucket and prefix of the organization's trail, for all regions."
        return Result(Status.WARN, TRAIL, found, fix)
    name, records = newest
    return ok(TRAIL, f"{trail}: listed and read, the newest log file with {plural(records, 'record')} ({name})")
