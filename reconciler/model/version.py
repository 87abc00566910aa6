"""The version, where the package is built from, too: asking the installed distribution takes 40 ms."""

VERSION = "0.1.0"
