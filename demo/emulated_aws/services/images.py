"""Amazon ECR: ListImages."""

from __future__ import annotations

from typing import Any

from demo.emulated_aws.authorization import authorize
from demo.emulated_aws.protocols import Call
from demo.emulated_aws.services.ecr import find_repository, invalid, page, repository_arn

_TAG_STATUSES = ("TAGGED", "UNTAGGED", "ANY")
_IMAGE_STATUSES = ("ACTIVE", "ARCHIVED", "ACTIVATING", "ANY")


def list_images(call: Call) -> Any:
    """List the images of one repository: an item for each tag of an image, and one for an image without any."""
    name = call.parameters["repositoryName"]
    authorize(call, "ecr:ListImages", repository_arn(call, name))
    wanted = call.parameters.get("filter") or {}
    tag_status, image_status = wanted.get("tagStatus", "ANY"), wanted.get("imageStatus", "ACTIVE")
    for member, value, known in (
        ("tagStatus", tag_status, _TAG_STATUSES),
        ("imageStatus", image_status, _IMAGE_STATUSES),
    ):
        if value not in known:
            raise invalid(f"filter.{member}", f"Member must satisfy enum value set: [{', '.join(known)}]")
    items = [
        {"imageDigest": image.digest} | ({"imageTag": tag} if tag else {})
        for image in find_repository(call, name).images
        if image_status in ("ANY", "ARCHIVED" if image.archived else "ACTIVE")
        for tag in image.tags or (None,)
        if tag_status in ("ANY", "TAGGED" if tag else "UNTAGGED")
    ]
    return page(call, "imageIds", items, lambda item: item)


OPERATIONS = {"ListImages": list_images}
