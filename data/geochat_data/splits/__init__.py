"""Lists of training, validation and held-out images, and manifests that record which files were trained on.

`ucm_overlap`: UC Merced training photographs that show ground also seen in its test photographs.
`ucm_val`: UC Merced training photographs kept for validation, eight a class.

A manifest holds the SHA-256 and path of each file, one per line, in the format of `sha256sum`.
"""

from collections.abc import Iterable
from importlib import resources
from pathlib import Path

from geochat.errors import DataError, SettingsError
from geochat.files import atomic_draft, sha256_of
from geochat_data.checking import hash_images
from geochat_data.duplicates import find_matches
from geochat_data.readers.report import Report

LISTS = ("ucm_overlap", "ucm_val")
UNSEEN_SCENES = frozenset({"golf course", "mobile home park", "overpass", "chaparral", "freeway", "agricultural"})
"""Scene classes left out of contrastive training, for zero-shot evaluation."""


def read_list(name: str) -> frozenset[str]:
    """Read the file names of one list; text after a `#` is a comment.

    Raises:
        SettingsError: There is no such list.
    """
    if name not in LISTS:
        raise SettingsError(f"no list is called {name!r}; choose one of {', '.join(LISTS)}")
    text = resources.files(__package__).joinpath(f"{name}.txt").read_text(encoding="utf-8")
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return frozenset(line for line in lines if line)


def write_manifest(path: Path, files: Iterable[Path], root: Path) -> int:
    """Write the manifest of the files used in training, sorted by path; returns their number.

    Args:
        path: The manifest; `sha256sum -c` in `root` checks it.
        files: The files trained on; repeated ones count once.
        root: The folder that paths are relative to.

    Raises:
        DataError: A file is missing or not below `root`, or the manifest cannot be written.
    """
    try:
        lines = sorted((file.resolve().relative_to(root.resolve()).as_posix(), sha256_of(file)) for file in set(files))
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_draft(path) as draft:
            draft.write_text("".join(f"{digest}  {name}\n" for name, digest in lines), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DataError(f"the manifest {path} cannot be written: {error}; check the files and their root") from error
    return len(lines)


def read_manifest(path: Path) -> dict[str, str]:
    """Read the SHA-256 of each file by its path below the root.

    Raises:
        DataError: The manifest is missing or damaged.
    """
    try:
        rows = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        digests = {name: digest for digest, name in rows}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not a manifest: {error}; write it again") from error
    if bad := [name for name, digest in digests.items() if len(digest) != 64]:
        raise DataError(f"{path} has no SHA-256 for {bad[0]}; write it again")
    return digests


def check_manifest(manifest: Path, root: Path, held_back: Iterable[Path]) -> Report:
    """Find held-out data in a training: the files, copies of them, and images that resemble them.

    Args:
        manifest: The manifest of the training.
        root: The folder its paths are relative to.
        held_back: Files of other splits, and those for evaluation only.

    Returns:
        The findings; `used` counts the files checked.

    Raises:
        DataError: The manifest cannot be read.
    """
    report, digests, withheld = Report(), read_manifest(manifest), list(held_back)
    copies = {sha256_of(path): path for path in withheld}
    places = {path.resolve() for path in withheld}
    for name, digest in digests.items():
        if (root / name).resolve() in places:
            report.skip("file that is held back", name)
        elif digest in copies:
            report.skip("copy of a file that is held back", f"{name} is {copies[digest]}")
    ours, hashes = hash_images(root / name for name in digests)
    theirs, others = hash_images(withheld)
    for match in find_matches(hashes, others):
        where = f"{ours[match.first]} resembles {theirs[match.second]} ({match.bits} of 256 bits differ)"
        report.skip("image that resembles one that is held back", where)
    report.used = len(digests)
    return report
