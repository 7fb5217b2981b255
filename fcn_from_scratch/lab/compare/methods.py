"""The methods of dense prediction as data: the weights of each, and how it predicts every pixel from them."""

from typing import NamedTuple

from fcn_from_scratch.lab.compare.training_plan import chain


class Method(NamedTuple):
    """One row of the comparison.

    name    on the command line
    title   in the table
    stage   the last training stage of its weights
    way     "net": the network as it was trained. "nearest": its coarse scores, repeated. "stitch" and "rarefy": the
            tricks of the paper's section 3.2, which need no training
    family  the kind of method: "coarse", "trick", "dilated", "skips", "stages", "concat", "unpooling"
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
        Method("learned", "32s, learned", "32s-learned", "net", "coarse"),
        Method("stitch", "shift-and-stitch", "32s", "stitch", "trick"),
        Method("rarefy", "rarefied", "32s", "rarefy", "trick"),
        Method("dilated", "dilated, trained", "dilated", "net", "dilated"),
        Method("16s", "16s, at once", "16s", "net", "skips"),
        Method("8s", "8s, at once", "8s", "net", "skips"),
        Method("16s-staged", "16s, in stages", "16s-half", "net", "stages"),
        Method("8s-staged", "8s, in stages", "8s-third", "net", "stages"),
        Method("concat", "8s, concatenated", "concat", "net", "concat"),
        Method("unpool", "unpooling decoder", "unpool", "net", "unpooling"),
    )
}
ALIASES = {"8s-atonce": "8s"}  # names of an earlier version -> names of today
