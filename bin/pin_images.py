"""Writes the digests of the base images into Dockerfile and docker-compose.yaml, beside their tags: a tag can be moved.

`make pin-images` calls this; run again, it renews them. It uses Docker, which pulls the images as a build would, from
the registry or the mirror that it is set up for.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Where a file names an image: the text before it, the image with its tag, and its present digest.
PLACES = {
    "Dockerfile": re.compile(r"^(FROM )(\S+?:[^\s@]+)(@sha256:[0-9a-f]{64})?(?=$| AS )", re.MULTILINE),
    # Not the image built here, which has no tag.
    "docker-compose.yaml": re.compile(r"^( +image: )(\S+?:[^\s@]+)(@sha256:[0-9a-f]{64})?$", re.MULTILINE),
}


def main(folder: Path = ROOT) -> int:
    """Pin the images in a folder's files. Returns 1, with nothing written, unless the digest of each is known."""
    texts = {name: (folder / name).read_text(encoding="utf-8") for name in PLACES}
    images = sorted({found[1] for name, text in texts.items() for found in PLACES[name].findall(text)})
    try:
        digests = {image: digest_of(image) for image in images}
    except (OSError, subprocess.CalledProcessError, ValueError) as fault:
        print(f"Nothing was pinned: {getattr(fault, 'stderr', '') or fault}")
        return 1
    for name, text in texts.items():
        pinned = PLACES[name].sub(lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}", text)
        (folder / name).write_text(pinned, encoding="utf-8")
    for image, digest in digests.items():
        print(f"{image} is {digest}")
    print("Review the changes of Dockerfile and docker-compose.yaml, and commit them.")
    return 0


def digest_of(image: str) -> str:
    """The digest under which the registry has a tag, for all platforms. Raises ValueError when Docker reports none."""
    _docker("pull", "--quiet", image)
    repository = image.rpartition(":")[0]
    for known in _docker("image", "inspect", "--format", '{{join .RepoDigests "\\n"}}', image).split():
        name, _, digest = known.partition("@")
        if name == repository and re.fullmatch("sha256:[0-9a-f]{64}", digest):
            return digest
    raise ValueError(f"Docker reports no digest of {image}")


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)  # noqa: S607 - as people do
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
