"""Every test of an op runs twice: the engine computes, then the plain code."""

import pytest

from fcn_from_scratch import plain


@pytest.fixture(params=["engine", "plain"], autouse=True, scope="module")
def mode(request):
    """Who computes."""
    with plain(request.param == "plain"):
        yield request.param
