"""The version, where the package is built from, too: asking the installed distribution takes 40 ms."""

VERSION = "0.1.0"
USER_AGENT = f"eversince-reconciler/{VERSION}"
"""What every request says of who asks."""
