"""The work in OpenVINO, on the CPU, in float32 and tuned for the latency of a single request."""

from fcn_from_scratch.lab.bench.onnx_rival import OnnxRival


class OpenVinoRival(OnnxRival):
    """OnnxRival with OpenVINO's CPU plugin.

    Without the hint it would compute in bfloat16 on a CPU that has it. What `described` states is read back from the
    compiled network: OpenVINO takes fewer threads where there are fewer cores.
    """

    def load(self, path):
        import openvino

        hints = {
            "INFERENCE_NUM_THREADS": self.allowed,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.version = openvino.__version__
        core = openvino.Core()
        self.compiled = core.compile_model(core.read_model(path), "CPU", hints)
        self.request = self.compiled.create_infer_request()
        self.request.set_input_tensor(openvino.Tensor(self.x, shared_memory=True))

    def predict(self):
        self.request.infer()
        return self.request.get_output_tensor(0).data

    def threads(self):
        return self.compiled.get_property("INFERENCE_NUM_THREADS")

    def described(self):
        get = self.compiled.get_property
        hint = get("PERFORMANCE_HINT")
        return (
            f"OpenVINO {self.version.partition('-')[0]}: CPU, INFERENCE_NUM_THREADS {self.threads()}, "
            f"INFERENCE_PRECISION_HINT {get('INFERENCE_PRECISION_HINT').get_type_name()}, "
            f"PERFORMANCE_HINT {getattr(hint, 'name', hint)}, streams {get('NUM_STREAMS')}, "
            f"pinned threads {'yes' if get('ENABLE_CPU_PINNING') else 'no'}"
        )
