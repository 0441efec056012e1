"""What an operator can do about an error of etcd's, in the error's own line."""

from __future__ import annotations

import attrs

__all__ = ["Advice"]


@attrs.frozen(kw_only=True)
class Advice:
    """Puts cause and remedy before etcd's and gRPC's own words.

    Attributes:
        user: name of the user; empty for none.
        cert: file with the client's certificate; empty for none.
        ca: file with the authorities trusted; empty for no TLS.
    """

    user: str
    cert: str
    ca: str

    def on(self, details: str, asked: str = "do that") -> str:
        """The words, and before them what they mean here, if that is known.

        Args:
            details: etcd's or gRPC's words.
            asked: what was asked for, such as ``read /a``.
        """
        for words, meaning in self._meanings(asked):
            if words in details:
                return f"{meaning} ({details})"
        return details

    def _meanings(self, asked: str) -> tuple[tuple[str, str], ...]:
        return (*_MEANINGS, *self._of_user(asked), *self._of_tls())

    def _of_user(self, asked: str) -> tuple[tuple[str, str], ...]:
        who = f"user {self.user!r}"
        barred = f"{who} may not" if self.user else "nobody without a user may"
        return (
            (
                "authentication failed",
                f"{who} can't log in: the name or the password is wrong, correct it here or there",
            ),
            (
                "permission denied",
                f"{barred} {asked}: grant the role what the page 'Run on etcd' lists",
            ),
            ("user name is empty", "etcd wants a user and a password"),
        )

    def _of_tls(self) -> tuple[tuple[str, str], ...]:
        refused = "the member wants a client certificate, and none was given"
        if self.cert:
            refused = f"the member refuses our certificate {self.cert}: it has expired, or is of "
            refused += "another authority than the member's; renew the file"
        unknown = f"the member's certificate is of no authority in {self.ca}: correct one of them"
        return (
            ("certificate has expired", "the member's certificate has expired: renew it there"),
            *((words, refused) for words in _REFUSED),
            *((words, unknown) for words in _UNKNOWN),
        )


_MEANINGS = (
    (
        "database space exceeded",
        "etcd is full: compact, defragment, then disarm the alarm with 'etcdctl alarm disarm'",
    ),
    ("no leader", "the member knows no leader: a majority of the cluster is down or cut off"),
    ("not supported for learner", "the member is a learner, which takes no requests: name others"),
    ("authentication is not enabled", "a user was given, but etcd has none: give none, or add it"),
)

_REFUSED = (
    "ALERT_BAD_CERTIFICATE",
    "ALERT_CERTIFICATE_EXPIRED",
    "ALERT_CERTIFICATE_REQUIRED",
    "ALERT_CERTIFICATE_UNKNOWN",
    "ALERT_UNKNOWN_CA",
)

_UNKNOWN = ("CERTIFICATE_VERIFY_FAILED", "certificate signature failure")
