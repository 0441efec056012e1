"""Certificates for tests of TLS: authorities, servers' and clients', good ones and expired ones."""

from __future__ import annotations

import datetime as dt
import ipaddress
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Paths"]

_PEM = serialization.Encoding.PEM


@attrs.frozen
class Paths:
    """Where a certificate and its key are.

    Attributes:
        cert: the certificate.
        key: its private key.
    """

    cert: Path
    key: Path


class Authority:
    """Issues certificates into a directory, its own as ``ca.pem``.

    Args:
        home: the directory.
        name: the authority's.
    """

    def __init__(self, home: Path, name: str = "ca") -> None:
        self._home = home
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.ca: Path = home / f"{name}.pem"
        self.ca.write_bytes(self._certify(self._name, self._key.public_key(), ca=True))

    def issue(self, name: str, *, seconds: float = 3600.0) -> Paths:
        """Write a new certificate for 127.0.0.1, as server or client; over the one there was.

        Args:
            name: of the files, and in the certificate.
            seconds: how long it is valid from now on; of one that has expired, less than 0.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        paths = Paths(self._home / f"{name}.pem", self._home / f"{name}.key")
        paths.cert.write_bytes(self._certify(_name(name), key.public_key(), seconds=seconds))
        form, hidden = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        paths.key.write_bytes(key.private_bytes(_PEM, form, hidden))
        return paths

    def _certify(
        self,
        subject: x509.Name,
        public: ec.EllipticCurvePublicKey,
        *,
        ca: bool = False,
        seconds: float = 3600.0,
    ) -> bytes:
        now = dt.datetime.now(dt.UTC)
        names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
        usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=2))
            .not_valid_after(now + dt.timedelta(seconds=seconds))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
