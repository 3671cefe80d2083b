"""Readers: labelled imagery on disk in, `LabelledImage` records out."""

from geochat_data.readers.jsonl import Report, read_jsonl
from geochat_data.readers.tiles import read_tiles
from geochat_data.readers.ucm import UCM_CATEGORIES, UCM_SCENES, read_ucm

__all__ = ["UCM_CATEGORIES", "UCM_SCENES", "Report", "read_jsonl", "read_tiles", "read_ucm"]
