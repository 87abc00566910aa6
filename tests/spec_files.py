"""Configuration and specs as the command reads them, with every error explained."""

from __future__ import annotations

import functools

from reconciler.adapters.specs import config_file, loader
from reconciler.adapters.specs.validation.errors import explain

load_config = functools.partial(config_file.load_config, explain=explain)
load_specs = functools.partial(loader.load_specs, explain=explain)
