"""Records from JSON and to JSON, in the three spellings found in etcd (``records``, *Texts*)."""

from __future__ import annotations

from gohan_jobs.codec.codec import Codec, dumps, loads
from gohan_jobs.codec.converter import configure_converter, make_converter
from gohan_jobs.codec.spelling import Spelling, dumps_json
from gohan_jobs.codec.strict_json import loads_json

__all__ = [
    "Codec",
    "Spelling",
    "configure_converter",
    "dumps",
    "dumps_json",
    "loads",
    "loads_json",
    "make_converter",
]
