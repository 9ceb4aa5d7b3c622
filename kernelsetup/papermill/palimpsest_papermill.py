"""Papermill's translator for the Go kernel: parameters become constants, which replace those of the notebook.

The notebook's cell tagged "parameters" declares each by a const of its own; GoNB replaces a block of them as a whole.

Papermill loads engines by their entry points and nothing else, so that is how the translator comes to be registered.
"""

import json

from papermill.engines import NBClientEngine
from papermill.translators import Translator, papermill_translators


class Go(Translator):
    """Writes values as Go's untyped constants."""

    @classmethod
    def translate_none(cls, val):
        raise ValueError("a parameter of a Go notebook is a number, a text or a truth value; got none")

    @classmethod
    def translate_str(cls, val):
        return json.dumps(val)

    @classmethod
    def translate_dict(cls, val):
        raise ValueError(f"a parameter of a Go notebook is a number, a text or a truth value; got {val!r}")

    translate_list = translate_tuple = translate_dict

    @classmethod
    def comment(cls, cmt_str):
        return f"// {cmt_str}".strip()

    @classmethod
    def assign(cls, name, str_val):
        return f"const {name} = {str_val}"


for name in ("go", "gonb"):  # the language's name and the kernel's
    papermill_translators.register(name, Go)


class Engine(NBClientEngine):
    """Papermill's own engine under the name by which this module is loaded."""
