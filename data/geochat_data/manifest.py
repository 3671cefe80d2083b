"""Which files were trained on: their SHA-256 and path, a line each, as `sha256sum` writes and checks them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from geochat.errors import DataError
from geochat_data.checking import hash_images
from geochat_data.perceptual import find_matches
from geochat_data.readers import Report


def write_manifest(path: Path, files: Iterable[Path], root: Path) -> int:
    """Name every file of a training, sorted by path; returns how many.

    Args:
        path: The manifest to write; `sha256sum -c` in `root` checks it.
        files: What is trained on; repeated ones count once.
        root: The folder that paths are written relative to.

    Raises:
        DataError: A file is missing or not below `root`, or the manifest cannot be written.
    """
    try:
        lines = sorted((file.resolve().relative_to(root.resolve()).as_posix(), _sha256(file)) for file in set(files))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{digest}  {name}\n" for name, digest in lines), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"the manifest {path} cannot be made: {error}; check the files and their root") from error
    return len(lines)


def read_manifest(path: Path) -> dict[str, str]:
    """The SHA-256 of each file by its path below the root.

    Raises:
        DataError: The manifest is missing or damaged.
    """
    try:
        rows = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        digests = {name: digest for digest, name in rows}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is no manifest: {error}; write it again") from error
    if bad := [name for name, digest in digests.items() if len(digest) != 64]:
        raise DataError(f"{path} has no SHA-256 for {bad[0]}; write it again")
    return digests


def check_manifest(manifest: Path, root: Path, held_back: Iterable[Path]) -> Report:
    """What a training used and may not have: files held back, copies of them, and images that look like them.

    Args:
        manifest: What was trained on.
        root: The folder its paths are relative to.
        held_back: Files of other splits, and those for evaluation only.

    Returns:
        The findings; `used` counts the files looked at.

    Raises:
        DataError: The manifest cannot be read.
    """
    report, digests, kept = Report(), read_manifest(manifest), list(held_back)
    copies = {_sha256(path): path for path in kept}
    places = {path.resolve() for path in kept}
    for name, digest in digests.items():
        if (root / name).resolve() in places:
            report.skip("file that is held back", name)
        elif digest in copies:
            report.skip("copy of a file that is held back", f"{name} is {copies[digest]}")
    ours, hashes = hash_images(root / name for name in digests)
    theirs, others = hash_images(kept)
    for match in find_matches(hashes, others):
        where = f"{ours[match.first]} is like {theirs[match.second]} ({match.bits} of 256 bits differ)"
        report.skip("image like one that is held back", where)
    report.used = len(digests)
    return report


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
