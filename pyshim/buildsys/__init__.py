"""How the extension module is built: used by setup.py, never installed."""
