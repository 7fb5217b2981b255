"""FCN-8s written out: one line for every layer of the paper's network, each stage's backward below its forward.

stride
   1   image                                                    scores
         |  conv1_1 conv1_2                                       ^  crop
   2   pool1                                                      |
         |  conv2_1 conv2_2                                       |  upscore8
   4   pool2                                                      |
         |  conv3_1 conv3_2 conv3_3                               |
   8   pool3 ------- score_pool3 -- crop ---------------------> fuse_pool3
         |  conv4_1 conv4_2 conv4_3                               ^  upscore_pool4
  16   pool4 ------- score_pool4 -- crop ---------------------> fuse_pool4
         |  conv5_1 conv5_2 conv5_3                               ^  upscore2
  32   pool5 ------- fc6 -- fc7 ---------- score_fr --------------+

On the left the image goes down. Each pool halves the map, so a cell of pool3 stands for 8 x 8 pixels. On the right the
scores come up. fuse_pool4 and fuse_pool3 are sums, and each arrow into them is one term. ReLU follows every convolution
except the three score layers. In training, dropout follows fc6 and fc7.

models.build("fcn8s") makes the same network from layer objects, and other trunks and heads too. This file only calls
fcn_from_scratch.ops, so you can set a breakpoint anywhere and step. The file ends with a training step.
"""

import numpy as np

from fcn_from_scratch import ops

PADDING = 100  # of conv1_1. With it, even an image of one pixel is large enough for fc6's 7x7 kernel and the crops


def crop_offsets():
    """The first row and column that the crops keep of score_pool4, of score_pool3 and of upscore8.

    Each variable is the start of a map: the position of the centre of its cell 0 on the image, in pixels. Position 0 is
    the centre of the first pixel. Rows and columns have the same starts. They do not depend on the size of the image.
    """
    # With kernel size k and padding p, the first output is centred (k - 1) / 2 - p cells after the start of the input.
    # The last factor is the stride of the input map: the distance of its cells in pixels.
    # 3x3 kernels padded by 1 and 1x1 kernels move nothing: (3 - 1) / 2 - 1 = 0 and (1 - 1) / 2 - 0 = 0.
    conv1_1 = ((3 - 1) / 2 - PADDING) * 1
    pool1 = conv1_1 + (2 - 1) / 2 * 1
    pool2 = pool1 + (2 - 1) / 2 * 2
    pool3 = pool2 + (2 - 1) / 2 * 4
    pool4 = pool3 + (2 - 1) / 2 * 8
    pool5 = pool4 + (2 - 1) / 2 * 16
    fc6 = pool5 + (7 - 1) / 2 * 32
    # Upsampling spreads each cell over k finer cells around it. So the output starts (k - 1) / 2 finer cells earlier.
    upscore2 = fc6 - (4 - 1) / 2 * 16
    upscore_pool4 = upscore2 - (4 - 1) / 2 * 8
    upscore8 = upscore_pool4 - (16 - 1) / 2 * 1
    # A crop removes the cells before the start of the map that it is aligned with. Both maps have the same stride.
    crop_pool4 = (upscore2 - pool4) / 16
    crop_pool3 = (upscore_pool4 - pool3) / 8
    crop_image = (0 - upscore8) / 1
    return int(crop_pool4), int(crop_pool3), int(crop_image)


CROP_POOL4, CROP_POOL3, CROP_IMAGE = crop_offsets()


class FCN8sByHand:
    """The paper's FCN-8s as functions of arrays.

    params  name -> array, under the paper's names from conv1_1.weight to score_pool3.bias. The arrays set the widths of
            the network. model.params of models.build("fcn8s") shares its arrays; model.state_dict() copies them
    rng     the random generator of dropout's masks in training; None in evaluation, where nothing is dropped
    grads   name -> array, the gradients of the last backward, under the names of the parameters
    Shapes: x (N, 3, H, W) of any size; scores (N, num_classes, H, W).
    Identity: equals models.build("fcn8s"), also in every gradient  (tests/models/test_fcn8s_by_hand.py).
    Raises: RuntimeError when backward is called before forward.
    Source: Long et al. 2015, section 4, and voc-fcn8s of its public code. Lesson 12.
    """

    def __init__(self, params, rng=None):
        self.params, self.grads, self.rng = params, {}, rng
        self.kept = {}  # what backward needs of forward, by the name of the stage

    def forward(self, x):
        """Compute the scores of every pixel."""
        pool1 = self.stage1(x)
        pool2 = self.stage2(pool1)
        pool3 = self.stage3(pool2)
        pool4 = self.stage4(pool3)
        pool5 = self.stage5(pool4)
        drop7 = self.classifier(pool5)
        fuse_pool4 = self.fuse_with_pool4(drop7, pool4)
        fuse_pool3 = self.fuse_with_pool3(fuse_pool4, pool3)
        return self.to_image(fuse_pool3, x.shape[2:])

    def backward(self, dscores):
        """Fill grads for the upstream gradient dscores. Returns the gradient with respect to the image."""
        if not self.kept:
            raise RuntimeError("FCN8sByHand.backward was called before forward: it needs what forward keeps")
        dfuse_pool3 = self.to_image_backward(dscores)
        dfuse_pool4, dpool3_skip = self.fuse_with_pool3_backward(dfuse_pool3)
        ddrop7, dpool4_skip = self.fuse_with_pool4_backward(dfuse_pool4)
        dpool5 = self.classifier_backward(ddrop7)
        # conv5_1 and score_pool4 both read pool4, and conv4_1 and score_pool3 both read pool3. A map that is read twice
        # changes the loss in two ways. So its gradient is the sum of two gradients.
        dpool4 = self.stage5_backward(dpool5) + dpool4_skip
        dpool3 = self.stage4_backward(dpool4) + dpool3_skip
        dpool2 = self.stage3_backward(dpool3)
        dpool1 = self.stage2_backward(dpool2)
        return self.stage1_backward(dpool1)

    # --- a layer with parameters, and dropout -----------------------------------------------------------------

    def conv(self, name, x, padding=0):
        return ops.conv2d(x, self.params[name + ".weight"], self.params[name + ".bias"], padding=padding)

    def conv_backward(self, name, dy, x, padding=0):
        """Store the gradients of weight and bias. Returns dx."""
        dx, dweight, dbias = ops.conv2d_backward(dy, x, self.params[name + ".weight"], padding=padding)
        self.grads[name + ".weight"], self.grads[name + ".bias"] = dweight, dbias
        return dx

    def drop(self, name, x):
        mask = None if self.rng is None else self.rng.random(x.shape, dtype=np.float32) >= 0.5
        self.kept[name] = mask
        return x if mask is None else ops.dropout(x, mask, 0.5)

    def drop_backward(self, name, dy):
        mask = self.kept[name]
        return dy if mask is None else ops.dropout_backward(dy, mask, 0.5)

    # --- down: five stages of convolutions, each followed by a pool that halves the map -----------------------

    def stage1(self, x):
        relu1_1 = ops.relu(self.conv("conv1_1", x, padding=PADDING))
        relu1_2 = ops.relu(self.conv("conv1_2", relu1_1, padding=1))
        pool1, indices = ops.max_pool2d(relu1_2, 2, ceil_mode=True)  # an odd size is rounded up, as Caffe does
        self.kept["stage1"] = x, relu1_1, relu1_2, indices
        return pool1

    def stage1_backward(self, dpool1):
        x, relu1_1, relu1_2, indices = self.kept["stage1"]
        drelu1_2 = ops.max_pool2d_backward(dpool1, indices, relu1_2.shape)
        drelu1_1 = self.conv_backward("conv1_2", ops.relu_backward(drelu1_2, relu1_2), relu1_1, padding=1)
        return self.conv_backward("conv1_1", ops.relu_backward(drelu1_1, relu1_1), x, padding=PADDING)

    def stage2(self, pool1):
        relu2_1 = ops.relu(self.conv("conv2_1", pool1, padding=1))
        relu2_2 = ops.relu(self.conv("conv2_2", relu2_1, padding=1))
        pool2, indices = ops.max_pool2d(relu2_2, 2, ceil_mode=True)
        self.kept["stage2"] = pool1, relu2_1, relu2_2, indices
        return pool2

    def stage2_backward(self, dpool2):
        pool1, relu2_1, relu2_2, indices = self.kept["stage2"]
        drelu2_2 = ops.max_pool2d_backward(dpool2, indices, relu2_2.shape)
        drelu2_1 = self.conv_backward("conv2_2", ops.relu_backward(drelu2_2, relu2_2), relu2_1, padding=1)
        return self.conv_backward("conv2_1", ops.relu_backward(drelu2_1, relu2_1), pool1, padding=1)

    def stage3(self, pool2):
        relu3_1 = ops.relu(self.conv("conv3_1", pool2, padding=1))
        relu3_2 = ops.relu(self.conv("conv3_2", relu3_1, padding=1))
        relu3_3 = ops.relu(self.conv("conv3_3", relu3_2, padding=1))
        pool3, indices = ops.max_pool2d(relu3_3, 2, ceil_mode=True)
        self.kept["stage3"] = pool2, relu3_1, relu3_2, relu3_3, indices
        return pool3

    def stage3_backward(self, dpool3):
        pool2, relu3_1, relu3_2, relu3_3, indices = self.kept["stage3"]
        drelu3_3 = ops.max_pool2d_backward(dpool3, indices, relu3_3.shape)
        drelu3_2 = self.conv_backward("conv3_3", ops.relu_backward(drelu3_3, relu3_3), relu3_2, padding=1)
        drelu3_1 = self.conv_backward("conv3_2", ops.relu_backward(drelu3_2, relu3_2), relu3_1, padding=1)
        return self.conv_backward("conv3_1", ops.relu_backward(drelu3_1, relu3_1), pool2, padding=1)

    def stage4(self, pool3):
        relu4_1 = ops.relu(self.conv("conv4_1", pool3, padding=1))
        relu4_2 = ops.relu(self.conv("conv4_2", relu4_1, padding=1))
        relu4_3 = ops.relu(self.conv("conv4_3", relu4_2, padding=1))
        pool4, indices = ops.max_pool2d(relu4_3, 2, ceil_mode=True)
        self.kept["stage4"] = pool3, relu4_1, relu4_2, relu4_3, indices
        return pool4

    def stage4_backward(self, dpool4):
        pool3, relu4_1, relu4_2, relu4_3, indices = self.kept["stage4"]
        drelu4_3 = ops.max_pool2d_backward(dpool4, indices, relu4_3.shape)
        drelu4_2 = self.conv_backward("conv4_3", ops.relu_backward(drelu4_3, relu4_3), relu4_2, padding=1)
        drelu4_1 = self.conv_backward("conv4_2", ops.relu_backward(drelu4_2, relu4_2), relu4_1, padding=1)
        return self.conv_backward("conv4_1", ops.relu_backward(drelu4_1, relu4_1), pool3, padding=1)

    def stage5(self, pool4):
        relu5_1 = ops.relu(self.conv("conv5_1", pool4, padding=1))
        relu5_2 = ops.relu(self.conv("conv5_2", relu5_1, padding=1))
        relu5_3 = ops.relu(self.conv("conv5_3", relu5_2, padding=1))
        pool5, indices = ops.max_pool2d(relu5_3, 2, ceil_mode=True)
        self.kept["stage5"] = pool4, relu5_1, relu5_2, relu5_3, indices
        return pool5

    def stage5_backward(self, dpool5):
        pool4, relu5_1, relu5_2, relu5_3, indices = self.kept["stage5"]
        drelu5_3 = ops.max_pool2d_backward(dpool5, indices, relu5_3.shape)
        drelu5_2 = self.conv_backward("conv5_3", ops.relu_backward(drelu5_3, relu5_3), relu5_2, padding=1)
        drelu5_1 = self.conv_backward("conv5_2", ops.relu_backward(drelu5_2, relu5_2), relu5_1, padding=1)
        return self.conv_backward("conv5_1", ops.relu_backward(drelu5_1, relu5_1), pool4, padding=1)

    # --- the bottom: the classifier's fully connected layers as convolutions ----------------------------------

    def classifier(self, pool5):
        relu6 = ops.relu(self.conv("fc6", pool5))  # 7x7: VGG16's fc6 reads 7x7 cells of pool5
        drop6 = self.drop("drop6", relu6)
        relu7 = ops.relu(self.conv("fc7", drop6))  # 1x1: VGG16's fc7 at every position
        drop7 = self.drop("drop7", relu7)
        self.kept["classifier"] = pool5, relu6, drop6, relu7
        return drop7

    def classifier_backward(self, ddrop7):
        pool5, relu6, drop6, relu7 = self.kept["classifier"]
        drelu7 = self.drop_backward("drop7", ddrop7)
        ddrop6 = self.conv_backward("fc7", ops.relu_backward(drelu7, relu7), drop6)
        drelu6 = self.drop_backward("drop6", ddrop6)
        return self.conv_backward("fc6", ops.relu_backward(drelu6, relu6), pool5)

    # --- up: scores at stride 32, then 16, then 8, then 1 -----------------------------------------------------

    def fuse_with_pool4(self, drop7, pool4):
        score_fr = self.conv("score_fr", drop7)
        upscore2 = ops.bilinear_upsample(score_fr, kernel_size=4, stride=2)
        score_pool4 = self.conv("score_pool4", pool4)
        self.kept["fuse_with_pool4"] = drop7, pool4, score_fr, score_pool4
        return upscore2 + ops.crop(score_pool4, CROP_POOL4, upscore2.shape[2:])

    def fuse_with_pool4_backward(self, dfuse_pool4):
        drop7, pool4, score_fr, score_pool4 = self.kept["fuse_with_pool4"]
        # A sum passes the same gradient to both of its terms.
        dscore_pool4 = ops.crop_backward(dfuse_pool4, score_pool4.shape, CROP_POOL4)
        dpool4 = self.conv_backward("score_pool4", dscore_pool4, pool4)
        dscore_fr = ops.bilinear_upsample_backward(dfuse_pool4, score_fr.shape, kernel_size=4, stride=2)
        ddrop7 = self.conv_backward("score_fr", dscore_fr, drop7)
        return ddrop7, dpool4

    def fuse_with_pool3(self, fuse_pool4, pool3):
        upscore_pool4 = ops.bilinear_upsample(fuse_pool4, kernel_size=4, stride=2)
        score_pool3 = self.conv("score_pool3", pool3)
        self.kept["fuse_with_pool3"] = fuse_pool4, pool3, score_pool3
        return upscore_pool4 + ops.crop(score_pool3, CROP_POOL3, upscore_pool4.shape[2:])

    def fuse_with_pool3_backward(self, dfuse_pool3):
        fuse_pool4, pool3, score_pool3 = self.kept["fuse_with_pool3"]
        dscore_pool3 = ops.crop_backward(dfuse_pool3, score_pool3.shape, CROP_POOL3)
        dpool3 = self.conv_backward("score_pool3", dscore_pool3, pool3)
        dfuse_pool4 = ops.bilinear_upsample_backward(dfuse_pool3, fuse_pool4.shape, kernel_size=4, stride=2)
        return dfuse_pool4, dpool3

    def to_image(self, fuse_pool3, size):
        upscore8 = ops.bilinear_upsample(fuse_pool3, kernel_size=16, stride=8)
        self.kept["to_image"] = fuse_pool3, upscore8
        return ops.crop(upscore8, CROP_IMAGE, size)

    def to_image_backward(self, dscores):
        fuse_pool3, upscore8 = self.kept["to_image"]
        dupscore8 = ops.crop_backward(dscores, upscore8.shape, CROP_IMAGE)
        return ops.bilinear_upsample_backward(dupscore8, fuse_pool3.shape, kernel_size=16, stride=8)


# --- learning -----------------------------------------------------------------------------------------------------


def sgd_step(params, grads, velocity, lr, momentum, weight_decay):
    """Take a gradient descent step in place, as Caffe does: V = momentum * V + lr * (g + weight_decay * w); w = w - V.

    Biases have twice the learning rate and no weight decay, as in the paper's public code. velocity is a dict, empty
    before the first step.
    Identity: equals training.SGD  (tests/models/test_fcn8s_by_hand.py).
    """
    for name, gradient in grads.items():
        rate, decay = (2 * lr, 0.0) if name.endswith("bias") else (lr, weight_decay)
        step = rate * (gradient + decay * params[name])
        velocity[name] = momentum * velocity.get(name, 0.0) + step
        params[name] -= velocity[name]


def training_step(net, velocity, x, labels, lr, momentum=0.99, weight_decay=5e-4):
    """Compute scores, loss and gradients, and take a step. Returns the loss before the step.

    The loss is summed over the pixels, as in the paper's public code, which uses lr = 1e-14 for FCN-8s.
    """
    scores = net.forward(x)
    loss, dscores = ops.softmax_cross_entropy(scores, labels, reduction="sum")
    net.backward(dscores)
    sgd_step(net.params, net.grads, velocity, lr, momentum, weight_decay)
    return loss
