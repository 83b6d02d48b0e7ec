"""The first call into Go that a thread makes leaves its mask, whatever went before it."""

from __future__ import annotations

import pytest
from probing import Probe, prober
from test_thread_masks import CALL, program


@pytest.fixture
def probe(fresh: Probe) -> Probe:
    return prober(fresh)


@CALL
def test_a_first_call_after_a_buffer_of_c_s_was_dropped_leaves_the_mask(call: str, probe: Probe):
    probe(
        program(
            f"""
            def body():
                block("CHLD PROF URG")
                before = mask()
                pybuf.zeros(8)
                {call}
                assert mask() == before
            on_thread(body)
            """
        )
    )
