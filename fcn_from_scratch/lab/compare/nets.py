"""The trained networks of one comparison: trained when they are needed, and kept in a folder for the next run."""

import time
from pathlib import Path

from fcn_from_scratch import datasets, dense, models, weights
from fcn_from_scratch.checks import InputError
from fcn_from_scratch.lab.compare.labelled_patches import PatchBatches
from fcn_from_scratch.lab.compare.training_plan import NETWORKS, TRUNK
from fcn_from_scratch.training import SGD, Trainer, checkpoint, polynomial, warm_up
from fcn_from_scratch.training.finite import DivergedError
from fcn_from_scratch.weights import parameters

TRUNK_BATCH = 16  # patches


class Nets:
    """nets[name of a stage] is its trained network, in eval mode.

    Each stage is trained once, after the stage that it starts from. Then it is written to `cache` as an ordinary
    checkpoint, which `fcn segment --weights` also reads. The file's name contains a digest of everything that
    determines the weights. If a file is damaged or has other settings, Nets says so and trains the stage again.

    settings  training_plan.Settings
    train     the dataset. Its pictures are prepared by the rule of weights.feed; `input` says in words how
    cache     a folder, or None to keep nothing
    trunk     a TrunkFile, or None to train the trunk here
    say       function that gets messages about the progress, such as print
    halvings  how often a stage that diverges is trained again, each time at half the rate; then it is an error

    `lowered` holds the rates of such stages, name -> rate.
    """

    def __init__(self, settings, train, cache=None, trunk=None, device="cpu", progress=True, say=print, halvings=3):
        self.settings, self.train = settings, train
        self.trunk = None if trunk is None else trunk.parameters
        self.file = trunk
        self.cache = None if cache is None else Path(cache)
        self.device, self.progress, self.say = device, progress, say
        self.halvings, self.lowered = halvings, {}
        self._made = {}

    def __getitem__(self, name):
        if name not in self._made:
            stage = self.settings.stage(name)
            net = self._cached(stage)
            self._made[name] = (self._trained(stage) if net is None else net).eval()
        return self._made[name]

    def build(self, stage):
        """The stage's network before training: with the weights it starts from; all others are drawn at random."""
        net = self.fresh(stage.network, **stage.options)
        if stage.start is not None:
            before = self.trunk if stage.start == TRUNK and self.trunk is not None else self[stage.start]
            models.transplant(net, before)
        if stage.frozen:
            net.freeze_trunk()
        return net.to(self.device)

    def fresh(self, network, **options):
        """A network of the comparison's family with random weights. A classifier is made fully convolutional."""
        settings = self.settings
        name = NETWORKS[settings.family][network]
        net = models.build(name, settings.num_classes, seed=settings.seed, **settings.options, **options)
        if network == "classifier":
            options = net.options
            net = dense.convolutionalize(net)
            net.options = options
        if self.file is not None:
            net.transform, net.told = self.file.transform, self.file.told
        self.input = weights.feed(net, self.train)
        return net

    def path(self, name):
        """The path of a stage's weights in the cache."""
        return self.cache / f"{name}-{self.settings.key(name)[:12]}.npz"

    def _trained(self, stage):
        """The stage's network, trained at its rate, or at the first half of it that does not diverge."""
        for _ in range(self.halvings):
            try:
                return self._trained_at(stage)
            except DivergedError as error:
                if not error.by_rate:
                    raise
                stage = stage._replace(lr=stage.lr / 2)
                self.lowered[stage.name] = stage.lr
                self.say(f"  {stage.name:12} diverged and is trained again at the rate {stage.lr:g}: {error}")
        return self._trained_at(stage)

    def _trained_at(self, stage):
        net, started = self.build(stage), time.perf_counter()
        steps = self.settings.steps_of(stage)
        schedule = warm_up(polynomial(stage.lr, steps), min(20, steps // 5))
        trainer = Trainer(net, SGD(net, schedule, weight_decay=5e-4), self._batches(stage, net), device=self.device)
        trainer.run(steps, self.progress)
        if self.cache is not None:
            checkpoint.save(self.path(stage.name), trainer, self._extra(stage, net))
        self.say(f"  {stage.name:12} {steps:4} steps in {time.perf_counter() - started:.1f} s")
        return net

    def _batches(self, stage, net):
        settings = self.settings
        if stage.name == TRUNK:
            size = 32 * net.options["fc6_kernel"]
            return PatchBatches(self.train, TRUNK_BATCH, size, net.transform, settings.seed)
        augment = None
        if settings.crop is not None:
            changes = datasets.RandomScale(0.5, 1.5), datasets.RandomCrop(settings.crop), datasets.RandomFlip()
            augment = datasets.Compose(changes)
        size = min(settings.batch_size, len(self.train))
        return datasets.Batches(self.train, size, net.transform, augment, settings.seed, drop_last=True)

    def _cached(self, stage):
        """The stage's network from the cache; None if there is no usable file."""
        if self.cache is None or not self.path(stage.name).exists():
            return None
        path = self.path(stage.name)
        try:
            arrays, meta = checkpoint.read(path)
            if meta["extra"].get("key") != self.settings.key(stage.name):
                raise InputError(f"{path} was trained with other settings")
            net = self.fresh(stage.network, **stage.options)
            net.load_state_dict(parameters(arrays))
            net.transform = datasets.Preprocess.from_dict(meta["extra"]["transform"])
            if (lr := meta["extra"].get("lr", stage.lr)) != stage.lr:
                self.lowered[stage.name] = float(lr)
        except (KeyError, ValueError) as error:
            self.say(f"  {stage.name:12} is trained again, since its file in the cache cannot be used: {error}")
            return None
        self.say(f"  {stage.name:12} read from {path}")
        return net.to(self.device)

    def _extra(self, stage, net):
        """What the checkpoint holds besides: the key, the rate, and what `fcn segment` needs to prepare and draw."""
        return {
            "key": self.settings.key(stage.name),
            "lr": stage.lr,
            "classes": list(self.train.classes),
            "palette": self.train.palette[: self.train.num_classes].tolist(),
            "transform": net.transform.as_dict(),
        }
