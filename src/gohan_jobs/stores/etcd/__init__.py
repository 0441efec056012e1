"""A store on etcd v3, through etcd3's stubs and messages.

This package is the only importer of etcd3 and gRPC. Importing it prepares nothing: etcd3 is loaded
when an :class:`EtcdStore` is made (``rules`` 30).
"""

from gohan_jobs.stores.etcd.store import EtcdStatus, EtcdStore

__all__ = ["EtcdStatus", "EtcdStore"]
