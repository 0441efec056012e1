"""How the documentation is built: ``nox -s docs``."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

from gohan_jobs._version import __version__

project = "gohan-jobs"
author = "gohan-jobs maintainers"
project_copyright = "gohan-jobs maintainers"
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "every_public_name",
    "command_line",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = f"gohan-jobs {version}"

nitpicky = True
# Names of other packages: their documentation is not read, so that a build needs no network.
_OTHERS = (
    "asyncio attr attrs cattrs click collections concurrent contextlib datetime dt enum grpc"
    " importlib jinja2 keystoneauth1 logging opentelemetry os pathlib prometheus_client pytest"
    " random re requests subprocess tenacity threading types typing yaml"
)
_BUILTINS = (
    "Any BaseException Callable Collection Exception Hashable Iterable Iterator LookupError Mapping"
    " OSError Path RuntimeError Self Sequence TimeoutError TypeError ValueError bool bytes dict"
    " float frozenset int list object set str tuple type"
)
nitpick_ignore_regex = [
    ("py:.*", rf"({'|'.join(_OTHERS.split())})(\..*)?"),
    ("py:.*", f"({'|'.join(_BUILTINS.split())})"),
    # Aliases given as text.
    ("py:class", r".*\[.*"),
    # Type variables, and what begins with an underscore.
    ("py:(class|obj)", r"gohan_jobs\..*\.([A-Z]|_\w+)"),
]

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist", "tasklist"]

autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True

# The modules that programs import from; all others are described under "Inside".
api_modules = [
    "gohan_jobs",
    "gohan_jobs.lifecycle",
    "gohan_jobs.acceptance",
    "gohan_jobs.operations.operating",
    "gohan_jobs.operations.dumping",
    "gohan_jobs.operations.restoring",
    "gohan_jobs.operations.copying",
    "gohan_jobs.operations.undoing",
    "gohan_jobs.diagnosis",
    "gohan_jobs.diagnosis.examination",
    "gohan_jobs.inspection.inspector",
    "gohan_jobs.inspection.overview",
    "gohan_jobs.inspection.job_list",
    "gohan_jobs.inspection.advice",
    "gohan_jobs.inspection.dependencies",
    "gohan_jobs.inspection.graphs",
    "gohan_jobs.inspection.graph_svg",
    "gohan_jobs.inspection.history",
    "gohan_jobs.inspection.differences",
    "gohan_jobs.inspection.watching",
    "gohan_jobs.inspection.stack_reports",
    "gohan_jobs.schemas",
    "gohan_jobs.clock",
    "gohan_jobs.redaction",
    "gohan_jobs.replay",
    "gohan_jobs.records",
    "gohan_jobs.codec",
    "gohan_jobs.keys",
    "gohan_jobs.handler_registry",
    "gohan_jobs.handlers",
    "gohan_jobs.handler_options",
    "gohan_jobs.admission",
    "gohan_jobs.instrumentation.background",
    "gohan_jobs.instrumentation.depths",
    "gohan_jobs.instrumentation.orchestrator",
    "gohan_jobs.instrumentation.prometheus",
    "gohan_jobs.instrumentation.tracing",
    "gohan_jobs.heat_handler",
    "gohan_jobs.events",
    "gohan_jobs.exceptions",
    "gohan_jobs.mapping",
    "gohan_jobs.templates",
    "gohan_jobs.planning",
    "gohan_jobs.manager",
    "gohan_jobs.worker",
    "gohan_jobs.poller",
    "gohan_jobs.bookkeeping",
    "gohan_jobs.stores.base",
    "gohan_jobs.stores.arguments",
    "gohan_jobs.stores.transactions",
    "gohan_jobs.stores.memory",
    "gohan_jobs.stores.etcd",
    "gohan_jobs.monitoring",
    "gohan_jobs.orchestrators.base",
    "gohan_jobs.orchestrators.heat",
    "gohan_jobs.orchestrators.simulated",
    "gohan_jobs.testing.stores",
    "gohan_jobs.testing.orchestrators",
    "gohan_jobs.testing.handlers",
    "gohan_jobs.testing.simulation",
    "gohan_jobs.testing.processes",
    "gohan_jobs.testing.plugin",
    "gohan_jobs.testing.faults",
    "gohan_jobs.testing.etcd",
]
