"""What ``done.json`` says of a finished run, and whether that is a run that is wanted."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from lit_entropy.jobs.job import Job
from lit_entropy.tracking.redaction import REDACTED, redact_words


@dataclass(frozen=True)
class Record:
    """A finished run.

    Attributes:
        settings: its settings as they may be shown: what of them is hidden depends on the
            environment of the process that wrote them.
        digest: that of the files it read, see :attr:`lit_entropy.jobs.job.Job.digest`.
        settings_sha256: hash of the settings as they were given; empty in records older than it.
    """

    settings: tuple[str, ...]
    digest: str
    settings_sha256: str = ""

    @property
    def hides(self) -> bool:
        """Whether a setting is hidden, and no hash tells it from others."""
        return not self.settings_sha256 and any(REDACTED in word for word in self.settings)

    def has_settings_of(self, run: Job) -> bool:
        """Whether the run has these settings; not if one of them is hidden."""
        if self.settings_sha256:
            return self.settings_sha256 == words_hash(run.settings)
        return not self.hides and self.settings == tuple(run.settings)

    def difference(self, run: Job) -> str:
        """In what it differs from a run with other settings, in lines without secrets."""
        there, wanted = (" ".join(redact_words(words)) for words in (self.settings, run.settings))
        hidden = f"\n  What differs is hidden as {REDACTED}." if there == wanted else ""
        return (
            "other settings: name another --output, or move it.\n"
            f"  there:  {there}\n  wanted: {wanted}{hidden}"
        )

    def as_json(self) -> bytes:
        """The content of ``done.json``."""
        values = {
            "settings": list(self.settings),
            "digest": self.digest,
            "settings_sha256": self.settings_sha256,
        }
        return json.dumps(values, indent=2).encode()


def record_of(run: Job) -> Record:
    """What is kept of a run; no secrets."""
    return Record(tuple(redact_words(run.settings)), run.digest, words_hash(run.settings))


def words_hash(words: Sequence[str]) -> str:
    """SHA-256 of words as a JSON list."""
    return hashlib.sha256(json.dumps(list(words), separators=(",", ":")).encode()).hexdigest()


def read_record(content: bytes, where: str, remedy: str) -> Record:
    """The record that a ``done.json`` holds.

    Args:
        content: of the file.
        where: the file, for the message.
        remedy: what to do if it is damaged, for the message.

    Raises:
        ValueError: it is no record; one line with file, reason and remedy.
    """
    try:
        values = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is damaged ({error}): {remedy}") from error
    values = values if isinstance(values, dict) else {}
    settings = values.get("settings")
    if not isinstance(settings, list) or not all(isinstance(word, str) for word in settings):
        raise ValueError(f"{where} is damaged (settings={settings!r:.60}, no words): {remedy}")
    texts = {"digest": values.get("digest"), "settings_sha256": values.get("settings_sha256", "")}
    for name, value in texts.items():
        if not isinstance(value, str):
            raise ValueError(f"{where} is damaged ({name}={value!r:.60}, no text): {remedy}")
    return Record(tuple(settings), **texts)
