"""Fixtures that several files of tests use; each is documented where it is defined."""

from hypothesis import settings

from real_services import keystone_cloud, project, real_heat

__all__ = ["keystone_cloud", "project", "real_heat"]

# Other work on the machine must not decide whether a test passes.
settings.register_profile("unhurried", deadline=None, print_blob=True)
settings.load_profile("unhurried")
