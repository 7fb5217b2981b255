"""A pytest plugin for the run in Pyodide: the tests that are left out there, each with its reason, which is printed."""

REASONS = {
    "ops/test_conv.py::TestForward::test_memory_stays_near_input_and_output": "a big image: a minute in WebAssembly",
    "layers/test_prepare.py::test_the_zero_frame_of_a_prepared_network": "a wide network: half a minute in WebAssembly",
    "weights/test_hostile.py::TestPickles::test_costly_programs": "frees 100,000 lists nested in each other, "
    "which is deeper than JavaScript's stack",
}


def pytest_collection_modifyitems(config, items):
    left_out = {item: reason for item in items if (reason := _reason(item))}
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=list(left_out))
    config.left_out = left_out


def pytest_terminal_summary(terminalreporter, config):
    for item, reason in config.left_out.items():
        terminalreporter.write_line(f"left out: {item.nodeid}: {reason}")


def _reason(item):
    node = item.nodeid.removeprefix("tests/")
    return next((reason for start, reason in REASONS.items() if node.startswith(start)), None)
