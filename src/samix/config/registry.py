"""Names that parameters choose from, each with the place of its class or function, "module:name".

A new policy, method, data source, detector or evaluation protocol is a file of its own, one line here and a
test. Modules are imported when a name is looked up (see `samix.config.names`).
"""

POLICIES: dict[str, str] = {
    "mixup": "samix.mixup.mixup:Mixup",
    "cutmix": "samix.mixup.cutmix:CutMix",
    "fmix": "samix.mixup.fmix:FMix",
    "gridmix": "samix.mixup.gridmix:GridMix",
    "resizemix": "samix.mixup.resizemix:ResizeMix",
    "smoothmix": "samix.mixup.smoothmix:SmoothMix",
    "manifoldmix": "samix.mixup.manifoldmix:ManifoldMix",
    "patchup": "samix.mixup.patchup:PatchUp",
    "alignmix": "samix.mixup.alignmix:AlignMix",
    "saliencymix": "samix.mixup.saliencymix:SaliencyMix",
    "guidedmixup": "samix.mixup.guidedmixup:GuidedMixup",
    "puzzlemix": "samix.mixup.puzzlemix:PuzzleMix",
    "attentivemix": "samix.mixup.attentivemix:AttentiveMix",
    "snapmix": "samix.mixup.snapmix:SnapMix",
    "saliency_grafting": "samix.mixup.saliency_grafting:SaliencyGrafting",
    "comixup": "samix.mixup.comixup:CoMixup",
    "supermix": "samix.mixup.supermix:SuperMix",
    "stackmix": "samix.mixup.stackmix:StackMix",
    "augmix": "samix.mixup.augmix:AugMix",
    "pixmix": "samix.mixup.pixmix:PixMix",
    "transmix": "samix.mixup.transmix:TransMix",
    "tokenmix": "samix.mixup.tokenmix:TokenMix",
    "tla": "samix.mixup.tla:TLA",
    "mixpro": "samix.mixup.mixpro:MixPro",
    "smmix": "samix.mixup.smmix:SMMix",
    "inter_intra": "samix.mixup.inter_intra:InterIntra",
    "random_choice": "samix.mixup.random_choice:RandomChoice",
    "automix": "samix.mixup.automix:AutoMix",
    "adautomix": "samix.mixup.adautomix:AdAutoMix",
    "samix": "samix.mixup.mixer.policy:SAMix",
    "samix_p": "samix.mixup.mixer.bundle:SAMixP",
}
"""Subclasses of `samix.mixup.Policy`."""

METHODS: dict[str, str] = {
    "moco": "samix.learners.moco:MoCo",
}
"""Self-supervised methods."""

SOURCES: dict[str, str] = {
    "digits": "samix.data.sources.digits:Digits",
    "fashion_mnist": "samix.data.sources.fashion_mnist:FashionMnist",
    "cifar10": "samix.data.sources.cifar10:Cifar10",
    "cifar100": "samix.data.sources.cifar100:Cifar100",
    "stl10": "samix.data.sources.stl10:Stl10",
    "tiny_imagenet": "samix.data.sources.tiny_imagenet:TinyImagenet",
    "cub200": "samix.data.sources.cub200:Cub200",
    "aircraft": "samix.data.sources.aircraft:Aircraft",
    "folder": "samix.data.sources.folder:Folder",
}
"""Subclasses of `samix.data.sources.Source`, made from a root and whether to download."""

DETECTORS: dict[str, str] = {
    "faster_rcnn_c4": "samix.detection.faster_rcnn_c4:build_faster_rcnn_c4",
}
"""Functions that build a detector; `samix.detection.detectors` has their signature."""

EVALUATIONS: dict[str, str] = {
    "linear": "samix.learners.linear:linear_protocol",
    "knn": "samix.evaluation.knn:knn_protocol",
}
"""Functions that evaluate a frozen backbone; `samix.evaluation.protocol` has their signature."""
