"""The methods of dense prediction as data: the weights of each, and how it predicts every pixel from them."""

from typing import NamedTuple

from fcn_from_scratch.lab.compare.training_plan import chain


class Method(NamedTuple):
    """One row of the comparison.

    name    on the command line
    title   in the table
    stage   the training stage that its weights come from
    way     "net": the network as it was trained. "nearest": its coarse scores, repeated. "stitch" and "rarefy": the
            tricks of the paper's section 3.2, which need no training
    family  the kind of method: "coarse", "trick", "upsampling", "skips", "unpooling"
    """

    name: str
    title: str
    stage: str
    way: str
    family: str

    def steps(self, settings):
        """The number of steps that its weights were trained for, without those of the trunk."""
        return sum(settings.steps_of(stage) for stage in chain(self.stage))


METHODS = {
    method.name: method
    for method in (
        Method("nearest", "coarse map, nearest", "32s", "nearest", "coarse"),
        Method("32s-fixed", "32s-fixed", "32s-fixed", "net", "coarse"),
        Method("32s", "32s, bilinear", "32s", "net", "coarse"),
        Method("stitch", "shift-and-stitch", "32s", "stitch", "trick"),
        Method("rarefy", "rarefied", "32s", "rarefy", "trick"),
        Method("learned", "32s, learned", "32s-learned", "net", "upsampling"),
        Method("16s", "16s", "16s", "net", "skips"),
        Method("8s", "8s", "8s", "net", "skips"),
        Method("8s-atonce", "8s at once", "8s-atonce", "net", "skips"),
        Method("unpool", "unpooling decoder", "unpool", "net", "unpooling"),
    )
}
