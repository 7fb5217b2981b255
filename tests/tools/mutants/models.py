"""Mistakes in the networks and in what carries weights from one to another."""

from planting import Mutant

BY_HAND = "models/test_fcn8s_by_hand.py"
ZERO_FRAME = "models/test_zero_frame.py"

MUTANTS = [
    Mutant(
        "the networks' pools round down",
        "models.trunk.vgg_stages",
        "MaxPool2d(2, ceil_mode=True",
        "MaxPool2d(2, ceil_mode=False",
        "models/test_alignment.py",
    ),
    Mutant(
        "a fork's gradient dropped",
        "models.trunk.Trunk._both",
        "return dy + dmaps[key] if key in dmaps else dy",
        "return dy",
        "models/test_gradients.py",
    ),
    Mutant(
        "a fork's other gradient dropped",
        "models.trunk.Trunk._both",
        "return dy + dmaps[key] if key in dmaps else dy",
        "return dmaps[key] if key in dmaps else dy",
        "models/test_gradients.py",
    ),
    Mutant(
        "score_fr starts at one",
        "models.head.score_layer",
        "array[...] = 0",
        "array[...] = 1",
        "models/test_gradients.py",
    ),
    Mutant(
        "a frozen trunk drops out",
        "models.segmenter.Segmenter.train",
        "self.trunk.train(False)",
        "self.trunk.train(mode)",
        "models/test_gradients.py",
    ),
    Mutant(
        "learned kernels thrown away",
        "models.segmenter._check_bilinear",
        "or not np.allclose(weight, expected, atol=1e-6)",
        "",
        "models/test_surgery.py",
    ),
    Mutant(
        "at-once scales exchanged",
        "models.vgg.AT_ONCE_SCALES",
        "AT_ONCE_SCALES = (0.01, 0.0001)",
        "AT_ONCE_SCALES = (0.0001, 0.01)",
        "models/test_build.py",
    ),
    Mutant(
        "AlexNet normalises before it pools",
        "models.alexnet._pool_and_norm",
        'return _pool(number), LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=f"norm{number}")',
        'return LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0, name=f"norm{number}"), _pool(number)',
        "models/test_alexnet.py",
    ),
    Mutant(
        "conv4 in one group",
        "models.alexnet.CONVOLUTIONS",
        "(384, 3, 1, 2)",
        "(384, 3, 1, 1)",
        "models/test_alexnet.py",
    ),
    Mutant(
        "the trunk hears of one head only",
        "models.multitask.TwoHeads._backward_heads",
        "return dtop + dtop_too,",
        "return dtop,",
        "models/test_multitask.py",
    ),
    Mutant(
        "the pools hear of one head only",
        "models.multitask.TwoHeads._backward_heads",
        "dmaps[pool] + dmaps_too[pool]",
        "dmaps[pool]",
        "models/test_multitask.py",
    ),
    Mutant(
        "late fusion sums where it should average",
        "models.multimodal.FUSION",
        '"average": 0.5',
        '"average": 1.0',
        "models/test_multimodal.py",
    ),
    Mutant(
        "depth is read as red is",
        "models.surgery.with_depth",
        "weight.mean(axis=1, keepdims=True)",
        "weight[:, 2:]",
        "models/test_multimodal.py",
    ),
    Mutant(
        "fc6 reshaped column by column",
        "models.surgery.transplant",
        "np.reshape(array, target[name].shape)",
        'np.reshape(array, target[name].shape, order="F")',
        "models/test_surgery.py",
    ),
    Mutant(
        "a classifier without padding",
        "models.trunk.vgg_classifier",
        "config._replace(pad=1)",
        "config._replace(pad=0)",
        "models/test_surgery.py models/test_build.py",
    ),
    Mutant(
        "a frame outlives its weights",
        "models.zero_frame._same",
        "and np.array_equal(ours, theirs)",
        "and True",
        ZERO_FRAME,
    ),
    Mutant(
        "a frame outlives its weights' dtype",
        "models.zero_frame._same",
        "ours.dtype == theirs.dtype and",
        "True and",
        ZERO_FRAME,
    ),
    Mutant(
        "the image reaches half a pixel less",
        "models.zero_frame._reached",
        "(width - 1) / 2",
        "(width - 2) / 2",
        ZERO_FRAME,
    ),
    Mutant(
        "windows cut Winograd's tiles",
        "models.zero_frame._Frame.__init__",
        "place = _in_tiles(place, OUTPUTS // (2 if len(run) == 3 else 1), out)",
        "place = _in_tiles(place, 1, out)",
        ZERO_FRAME,
    ),
    Mutant(
        "the frame made first makes room",
        "models.zero_frame.ZeroFrame._frame",
        "frame = self._frames.pop(key, None)",
        "frame = self._frames.get(key)",
        ZERO_FRAME,
    ),
    Mutant(
        "the decoder begins as if every place were filled",
        "models.decoder._mirror",
        "sparsity = np.prod(layer.kernel_size)",
        "sparsity = 1",
        "models/test_decoder.py",
    ),
    Mutant(
        "the decoder's frame is one pixel wide",
        "models.decoder._mirror",
        "(layer.kernel_size, layer.stride, layer.padding)",
        "(layer.kernel_size, layer.stride, (1, 1))",
        "models/test_decoder.py",
    ),
    Mutant(
        "nearest neighbour in between, bilinear at the end",
        "models.head.UPSAMPLING",
        '"nearest": ("nearest", "nearest")',
        '"nearest": ("nearest", "bilinear")',
        "models/test_nearest.py",
    ),
    Mutant(
        "by hand, pool4's other gradient dropped",
        "models.fcn8s_by_hand.FCN8sByHand.backward",
        "self.stage5_backward(dpool5) + dpool4_skip",
        "self.stage5_backward(dpool5)",
        BY_HAND,
    ),
    Mutant(
        "by hand, pool3's other gradient dropped",
        "models.fcn8s_by_hand.FCN8sByHand.backward",
        "self.stage4_backward(dpool4) + dpool3_skip",
        "self.stage4_backward(dpool4)",
        BY_HAND,
    ),
    Mutant(
        "by hand, a crop off by one",
        "models.fcn8s_by_hand.crop_offsets",
        "return int(crop_pool4),",
        "return int(crop_pool4) + 1,",
        BY_HAND,
    ),
    Mutant(
        "by hand, fc6 starts at the corner of its kernel",
        "models.fcn8s_by_hand.crop_offsets",
        "fc6 = pool5 + (7 - 1) / 2 * 32",
        "fc6 = pool5",
        BY_HAND,
    ),
    Mutant(
        "by hand, a crop's gradient at another offset",
        "models.fcn8s_by_hand.FCN8sByHand.fuse_with_pool3_backward",
        "score_pool3.shape, CROP_POOL3)",
        "score_pool3.shape, CROP_POOL4)",
        BY_HAND,
    ),
    Mutant(
        "by hand, a ReLU asks the map before",
        "models.fcn8s_by_hand.FCN8sByHand.stage4_backward",
        "ops.relu_backward(drelu4_2, relu4_2)",
        "ops.relu_backward(drelu4_2, relu4_1)",
        BY_HAND,
    ),
    Mutant(
        "by hand, dropout's gradient goes to all",
        "models.fcn8s_by_hand.FCN8sByHand.drop_backward",
        "return dy if mask is None else ops.dropout_backward(dy, mask, 0.5)",
        "return dy",
        BY_HAND,
    ),
    Mutant(
        "by hand, biases decay",
        "models.fcn8s_by_hand.sgd_step",
        '(2 * lr, 0.0) if name.endswith("bias")',
        '(2 * lr, weight_decay) if name.endswith("bias")',
        BY_HAND,
    ),
    Mutant(
        "by hand, decay after momentum",
        "models.fcn8s_by_hand.sgd_step",
        """
            step = rate * (gradient + decay * params[name])
            velocity[name] = momentum * velocity.get(name, 0.0) + step
            params[name] -= velocity[name]
        """,
        """
            step = rate * gradient
            velocity[name] = momentum * velocity.get(name, 0.0) + step
            params[name] -= velocity[name] + rate * decay * params[name]
        """,
        BY_HAND,
    ),
    Mutant(
        "by hand, the loss is averaged",
        "models.fcn8s_by_hand.training_step",
        'reduction="sum"',
        'reduction="mean"',
        BY_HAND,
    ),
]
