"""A pytest plugin for the run in Pyodide: the tests that are left out there. The reasons are printed at the end."""

from collections import Counter

NO_GPU = "CuPy and its stand-in: a browser has no GPU for them"
REASONS = {
    "ops/test_conv.py::TestForward::test_memory_stays_near_input_and_output": "a large image takes a minute there",
    "layers/test_prepare.py::test_the_zero_frame_of_a_prepared_network": "a wide network takes half a minute there",
    "models/test_zero_frame.py::TestNeverStale::test_prepared_weights": "a wide network takes half a minute there",
    "weights/test_npz.py::TestHostile::test_what_cannot_be_opened": "a path below a file is another error there",
    "weights/test_hostile.py::TestPickles::test_costly_programs": "lists nested 100,000 deep end the runtime",
    "weights/test_hostile.py::TestSafetensors::test_texts": "JSON nested 100,000 deep ends the runtime",
    "weights/test_hostile.py::test_fuzzed_headers_of_npz": "JSON nested 100,000 deep ends the runtime",
}


def pytest_collection_modifyitems(config, items):
    reasons = {item: _reason(item) for item in items}
    items[:] = [item for item in items if not reasons[item]]
    config.hook.pytest_deselected(items=[item for item in reasons if reasons[item]])
    config.left_out = Counter(filter(None, reasons.values()))


def pytest_terminal_summary(terminalreporter, config):
    for reason, count in getattr(config, "left_out", {}).items():
        terminalreporter.write_line(f"left out, {count} tests: {reason}")


def _reason(item):
    parameters = getattr(item, "callspec", None)
    if parameters and parameters.params.get("xp") in ("standin", "cupy"):
        return NO_GPU
    node = item.nodeid.removeprefix("tests/")
    return next((reason for start, reason in REASONS.items() if node.startswith(start)), None)
