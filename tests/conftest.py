"""Fixtures that several files of tests use; each is documented where it is defined."""

from real_services import keystone_cloud, project, real_heat

__all__ = ["keystone_cloud", "project", "real_heat"]
