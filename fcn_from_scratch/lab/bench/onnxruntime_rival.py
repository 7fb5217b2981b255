"""The work in ONNX Runtime, on the CPU. Its threads are as many as ours; its other settings are its defaults."""

from fcn_from_scratch.lab.bench.onnx_rival import OnnxRival

SPINNING = "session.intra_op.allow_spinning"


class OnnxRuntimeRival(OnnxRival):
    """OnnxRival with ONNX Runtime's CPU provider, one operator after another.

    Between two loops its threads wait busily for a while, which is its default and makes it faster. The setting is
    written out, so that `described` states what holds.
    """

    def load(self, path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.allowed, 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.add_session_config_entry(SPINNING, "1")
        options.log_severity_level = 3  # errors only
        self.version = onnxruntime.__version__
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.feed = {self.session.get_inputs()[0].name: self.x}

    def predict(self):
        return self.session.run(None, self.feed)[0]

    def threads(self):
        return self.session.get_session_options().intra_op_num_threads

    def described(self):
        options = self.session.get_session_options()
        spins = {"1": "allowed", "0": "not allowed"}[options.get_session_config_entry(SPINNING)]
        return (
            f"ONNX Runtime {self.version}: {', '.join(self.session.get_providers())}, float32, intra_op_num_threads "
            f"{options.intra_op_num_threads}, inter_op_num_threads {options.inter_op_num_threads}, sequential, all "
            f"graph optimizations, spinning {spins}"
        )
